// SPDX-License-Identifier: Apache-2.0
// Winograd convolutions: how the map is cut into tiles and groups, packed weights, scratch.
//
// Tiles of m x m outputs, row after row, are cut into groups; what is given to a lane is a unit of
// output channels of a group. Who computes several units transforms the group once. Temporal taps
// are taken in chunks, whose products are summed at the points before the one transform back.
//
// Packed weights: [bias][chunk][vector of oc][point][tap of the chunk][ic][oc of the vector]. What
// a lane reads lies together: a core that asks for what comes next must not take lines from the
// core that needs them.
//
// Scratch of a lane: [point][tile of the group][taps of a chunk * ic], what is read;
// [point][tile of the group][oc], sums of products. Rows and planes are padded, or the points of a
// tile would lie at one place of the first cache.

constexpr int kTileRows = 2 * kGroupPixels;  // of a register tile
constexpr int kPad = 16;                     // floats
constexpr int kChunkChannels = 512;          // of all taps of a chunk, but for a single tap
constexpr int kUnit = kTransformedUnit;      // output channels
constexpr int kUnitVecs = kUnit / kVecWidth;
constexpr int kSumVecs = 128 / kVecWidth;  // of output channels that are summed at a time
// Scratch of a group: near the second cache; but more where the weights, which every group reads,
// would not stay near.
constexpr int64_t kGroupBytes = 640 * 1024, kFarGroupBytes = 1536 * 1024;
constexpr int64_t kNearWeightBytes = 4096 * 1024;

inline bool winograd_fits(const ConvShape& s) {
  return s.kh == 3 && s.kw == 3 && s.sh == 1 && s.sw == 1 && s.dh == 1 && s.dw == 1 &&
         s.groups == 1;
}

struct WinogradLayout {
  int m, points;
  int tiles_x, tiles;
  int vecs;        // of output channels
  int units;       // of output channels
  int chunk_taps;  // of every chunk but the last
  int sum_vecs;    // summed at a time: all, where chunk after chunk adds to them
  int groups;
  int64_t row, plane;          // floats of what is read
  int64_t sum_row, sum_plane;  // and of sums

  explicit WinogradLayout(const ConvShape& s)
      : m(tile_size(s.algorithm)),
        points((m + 2) * (m + 2)),
        tiles_x(ceil_div(s.out_w, m)),
        tiles(tiles_x * ceil_div(s.out_h, m)),
        vecs(ceil_div(s.out_c, kVecWidth)),
        units(ceil_div(s.out_c, kUnit)),
        chunk_taps(imax(1, imin(s.kt, kChunkChannels / s.in_c))),
        sum_vecs(chunk_taps == s.kt ? imin(vecs, kSumVecs) : vecs) {
    row = int64_t{ceil_div(chunk_taps * s.in_c, kPad) + 1} * kPad;
    sum_row = int64_t{ceil_div(sum_vecs * kVecWidth, kPad)} * kPad;
    const bool near = packed_floats(s) * 4 <= kNearWeightBytes;
    const int64_t tile_bytes = points * 4 * (row + sum_row);
    const auto fit = static_cast<int>((near ? kGroupBytes : kFarGroupBytes) / tile_bytes);
    const int most = imax(kTileRows, tiles <= fit ? fit : fit / kTileRows * kTileRows);
    groups = ceil_div(tiles, most);
    plane = group_tiles() * row + kPad;
    sum_plane = group_tiles() * sum_row + kPad;
  }
  int group_tiles() const { return ceil_div(tiles, groups); }  // at most
  int group_lo(int group) const {
    return static_cast<int>(static_cast<int64_t>(tiles) * group / groups);
  }
  int64_t read_floats() const { return points * plane; }
  int64_t scratch_floats() const { return read_floats() + points * sum_plane; }
  // Of a vector, a point, and the chunk of `channels` that begins at tap `tap`.
  int64_t weight(const ConvShape& s, int tap, int channels, int vector, int point) const {
    const int64_t before = static_cast<int64_t>(tap) * s.in_c * points * vecs;
    const int64_t at = static_cast<int64_t>(vector) * points + point;
    return (vecs + before + at * channels) * kVecWidth;
  }
  int64_t packed_floats(const ConvShape& s) const { return weight(s, s.kt, 0, 0, 0); }
};

void winograd_pack(const ConvShape& s, const float* weight, const float* bias, float* packed) {
  const WinogradLayout w(s);
  const int64_t floats = w.packed_floats(s);
  for (int64_t i = 0; i < floats; ++i) packed[i] = 0.0f;
  for (int o = 0; o < s.out_c; ++o) packed[o] = bias[o];
  for (int o = 0; o < s.out_c; ++o) {
    const int vector = o / kVecWidth;
    for (int c = 0; c < s.in_c; ++c) {
      for (int tap = 0; tap < s.kt; ++tap) {
        float kernel[9], at[36];
        for (int i = 0; i < 9; ++i) kernel[i] = to_float(to_elem(weight[i]));
        winograd_weights(w.m, kernel, at);
        weight += 9;
        const int first = tap / w.chunk_taps * w.chunk_taps;
        const int channels = imin(w.chunk_taps, s.kt - first) * s.in_c;
        const int64_t channel = static_cast<int64_t>(tap - first) * s.in_c + c;
        float* to =
            packed + w.weight(s, first, channels, vector, 0) + channel * kVecWidth + o % kVecWidth;
        for (int p = 0; p < w.points; ++p) to[int64_t{p} * channels * kVecWidth] = at[p];
      }
    }
  }
}
