// SPDX-License-Identifier: Apache-2.0
// How dense convolutions go over their pixels, whatever their elements are. Rows are cut into
// groups of pixels for the register tile. A batch of groups meets a block of output channels.

constexpr int kBatchGroups = 64;
constexpr int64_t kLargeInputBytes = 1536 * 1024;  // does not stay in the L2 cache

struct PixelGroup {
  int y, x;               // of its first output pixel
  int64_t out, residual;  // that pixel in the maps, in elements
};

inline PixelGroup pixel_group(const ConvArgs& a, int y, int x) {
  const MapGeometry &to = a.out.g, &more = a.residual.g;
  return {y, x, y * to.row_stride + x * to.pixel_stride,
          y * more.row_stride + x * more.pixel_stride};
}

// The groups of a batch: the first n_big of n have a pixel more than the others.
struct GroupBatch {
  int n_big = 0, n = 0;
  int big = 0;  // pixels of a big one
  int pixels(int group) const { return group < n_big ? big : big - 1; }
  // The end of the groups with as many pixels.
  int end_of_size(int group) const { return group < n_big ? n_big : n; }
};

// Groups for a batch, kept for the next block of channels: it often meets the same pixels.
struct KeptGroups {
  int lo = -1, hi = -1, first = -1;  // rows or pixels [lo, hi), from a row's group `first` on
  GroupBatch batch;
  bool are(int other_lo, int other_hi, int other_first) const {
    return lo == other_lo && hi == other_hi && first == other_first;
  }
};

// A batch of groups and a block of channels.
template <class Args, class Element>
struct GroupPass {
  Args& m;
  Element* out;                // channel of pixel (0, 0); nullptr: sums are kept
  const Element* residual;     // likewise; nullptr: none
  const char* next = nullptr;  // weights that the first `asking` pairs ask for, so many bytes each
  int64_t share = 0;
  int asking = 0;
  int pairs = 0;  // so far
};

// What all groups of a convolution have in common.
template <class Args>
Args micro_args(const ConvArgs& a) {
  const ConvShape& s = *a.shape;
  Args m;
  m.in_h = s.in_h;
  m.sh = s.sh;
  m.out_stride = a.out.g.pixel_stride;
  m.act = s.act;
  m.numbers = s.numbers;
  m.limited = Limits::are(s.act);
  m.limits = Limits(s.act, s.numbers);
  m.residual_stride = a.residual.g.pixel_stride;
  return m;
}

template <class Conv, class Args, class Element>
void set_group(Conv& c, const GroupPass<Args, Element>& pass, int i, int g) {
  const PixelGroup& at = c.groups[i];
  Args& m = pass.m;
  m.y[g] = at.y;
  m.x[g] = at.x;
  m.out[g] = pass.out == nullptr ? nullptr : pass.out + at.out;
  m.residual[g] = pass.residual == nullptr ? nullptr : pass.residual + at.residual;
  m.scratch[g] = c.scratch + static_cast<int64_t>(i) * kGroupPixels * kBlock;
}

// Channels that are computed apart, groups one by one: all of the few weights stay in the nearest
// cache.
template <class Conv, class Args, class Element, class Table>
void run_narrow(Conv& c, const GroupPass<Args, Element>& pass, const GroupBatch& of,
                const NarrowWeights& weights, const Table& micro) {
  for (int i = 0; i < of.n; ++i) {
    set_group(c, pass, i, 0);
    micro[of.pixels(i) - 1][pass.m.out_channels - 1](pass.m, weights);
  }
}

// Groups [lo, hi), which are of one size, in pairs; the last one is alone if they are odd.
template <class Conv, class Args, class Element, class Micro>
void run_groups(Conv& c, GroupPass<Args, Element>& pass, int lo, int hi, Micro one, Micro two) {
  Args& m = pass.m;
  for (int i = lo; i < hi; i += 2, ++pass.pairs) {
    const int pair = imin(2, hi - i);
    for (int g = 0; g < pair; ++g) set_group(c, pass, i + g, g);
    const PixelGroup& next = c.groups[i + pair < hi ? i + pair : i];
    m.next_y = next.y, m.next_x = next.x;
    m.prefetch = pass.pairs < pass.asking ? pass.next + pass.pairs * pass.share : nullptr;
    (pair == 2 ? two : one)(m);
  }
}

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

// Of rows [y0, y1): every row is cut into groups of nearly equal size, of which [g0, g1) are meant.
// Those of one size lie side by side, so that they are paired across rows.
template <class Conv>
GroupBatch fill_groups(Conv& c, int y0, int y1, int g0, int g1) {
  const int per_row = ceil_div(c.s.out_w, kGroupPixels), small_px = c.s.out_w / per_row;
  const int big_per_row = c.s.out_w - small_px * per_row;  // groups with one pixel more
  int n = 0;
  for (int y = y0; y < y1; ++y) {
    for (int g = g0; g < imin(g1, big_per_row); ++g) {
      c.groups[n++] = pixel_group(c.a, y, g * (small_px + 1));
    }
  }
  const int n_big = n;
  for (int y = y0; y < y1; ++y) {
    for (int g = imax(g0, big_per_row); g < g1; ++g) {
      c.groups[n++] = pixel_group(c.a, y, g * small_px + big_per_row);
    }
  }
  return {n_big, n, small_px + 1};
}

// Output rows [y_lo, y_hi) of one block.
template <class Conv>
void batch_rows(Conv& c, int block, int y_lo, int y_hi) {
  const int per_row = ceil_div(c.s.out_w, kGroupPixels), at_once = rows_at_once(c.s);
  for (int y0 = y_lo; y0 < y_hi; y0 += at_once) {
    const int y1 = imin(y0 + at_once, y_hi);
    for (int g0 = 0; g0 < per_row; g0 += kBatchGroups) {
      const int g1 = imin(g0 + kBatchGroups, per_row);
      if (!c.kept.are(y0, y1, g0)) c.kept = {y0, y1, g0, fill_groups(c, y0, y1, g0, g1)};
      c.batch(block, c.kept.batch);
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
