// SPDX-License-Identifier: Apache-2.0
// How dense convolutions go over their pixels, whatever their elements are. Rows are cut into
// groups of pixels for the register tile. A batch of groups meets a block of output channels.

constexpr int kBatchGroups = 64;
constexpr int64_t kLargeInputBytes = 1536 * 1024;  // does not stay in the L2 cache

struct PixelGroup {
  int y, x;  // of its first output pixel
};

inline int rows_at_once(const ConvShape& s) {
  return imax(1, kBatchGroups / ceil_div(s.out_w, kGroupPixels));
}

// Elements of what is read, with halos.
inline int64_t input_elements(const ConvArgs& a) {
  int64_t n = 0;
  for (int i = 0; i < a.shape->n_segs; ++i) {
    n += a.segs[i].g.row_stride * a.shape->in_h * a.shape->kt;
  }
  return n;
}

// Output rows [y_lo, y_hi) of one block: rows are cut into groups of nearly equal size, and groups
// of one size are paired, across rows where a row has an odd number of them.
template <class Conv>
void batch_rows(Conv& c, int block, int y_lo, int y_hi) {
  const ConvShape& s = c.s;
  const int per_row = ceil_div(s.out_w, kGroupPixels), at_once = rows_at_once(s);
  const int n_small_px = s.out_w / per_row;
  const int n_big = s.out_w - n_small_px * per_row;  // groups with one pixel more
  for (int y0 = y_lo; y0 < y_hi; y0 += at_once) {
    const int y1 = imin(y0 + at_once, y_hi);
    for (int g0 = 0; g0 < per_row; g0 += kBatchGroups) {
      const int g1 = imin(g0 + kBatchGroups, per_row);
      int n = 0;
      for (int y = y0; y < y1; ++y) {
        for (int g = g0; g < imin(g1, n_big); ++g) c.groups[n++] = {y, g * (n_small_px + 1)};
      }
      const int big_groups = n;
      for (int y = y0; y < y1; ++y) {
        for (int g = imax(g0, n_big); g < g1; ++g) c.groups[n++] = {y, g * n_small_px + n_big};
      }
      c.batch(block, big_groups, n, n_small_px + 1);
    }
  }
}

// Blocks [b_lo, b_hi) over the rows of tiles [lo, hi) of each. Blocks in turn, each over all these
// rows; where the input is large, rows in turn, each batch of them over all blocks.
template <class Conv>
void run_part(Conv& c, bool large, int b_lo, int b_hi, int lo, int hi) {
  const int step = tile_rows(c.s), y_hi = imin(hi * step, c.s.out_h);
  const int at_once = large ? rows_at_once(c.s) : y_hi;
  for (int y = lo * step; y < y_hi; y += at_once) {
    for (int b = b_lo; b < b_hi; ++b) c.rows(b, y, imin(y + at_once, y_hi));
  }
}

// Tiles [lo, hi). They go through a table line by line: the lines are tiles of rows, and in them
// blocks, or the other way round.
template <class Conv>
void run_tiles(Conv& c, int64_t input_bytes, int lo, int hi) {
  const ConvShape& s = c.s;
  const bool large = input_bytes > kLargeInputBytes, by_rows = tiles_by_rows(s);
  const int line = by_rows ? all_blocks(s) : ceil_div(s.out_h, tile_rows(s));
  for (int t = lo; t < hi;) {
    const int at = t / line, first = t % line, whole = first == 0 ? (hi - t) / line : 0;
    const int n = imax(1, whole), end = whole > 0 ? line : imin(line, first + hi - t);
    if (by_rows) {
      run_part(c, large, first, end, at, at + n);
    } else {
      run_part(c, large, at, at + n, first, end);
    }
    t += n * (end - first);
  }
}
