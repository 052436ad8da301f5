// SPDX-License-Identifier: Apache-2.0
// Values at other places. Channels that stay side by side are copied together; the others go one by
// one, a whole row of pixels each.

// Channel c of all segments taken together, and how many of its segment begin with it.
struct MoveSource {
  source p;  // at pixel (0, 0); nullptr: 0
  const MapGeometry* g;
  int channels;
};

inline MoveSource channel_source(const MoveArgs& a, int c) {
  int s = 0;
  for (; c >= a.segs[s].g.c; ++s) c -= a.segs[s].g.c;
  const SegmentView& seg = a.segs[s];
  return {seg.taps[0] == nullptr ? nullptr : elems(seg.g, seg.taps[0]) + c, &seg.g, seg.g.c - c};
}

// n elements of `width` pixels that lie a step apart; nullptr: zeros.
inline void move_run(source in, int64_t in_step, target out, int64_t out_step, int n, int width) {
  if (in == nullptr) {
    const vec zero = splat(0.0f);
    for (int x = 0; x < width; ++x, out += out_step) {
      for (int c = 0; c < n; c += kVecWidth) store_n(out + c, zero, n - c);
    }
  } else if (n == 1) {
    for (int x = 0; x < width; ++x) set_value(out, x * out_step, value_at(in, x * in_step));
  } else {
    for (int x = 0; x < width; ++x, in += in_step, out += out_step) {
      for (int c = 0; c < n; c += kVecWidth) store_n(out + c, load_n(in + c, n - c), n - c);
    }
  }
}

inline void select_row(const MoveArgs& a, int y) {
  const MapGeometry& og = a.out.g;
  int n = 0;
  for (int c = 0; c < og.c; c += n) {
    const MoveSource from = channel_source(a, a.index[c]);
    n = 1;
    while (c + n < og.c && n < from.channels && a.index[c + n] == a.index[c] + n) ++n;
    move_run(from.p == nullptr ? nullptr : from.p + y * from.g->row_stride, from.g->pixel_stride,
             elems(og, a.out.data) + y * og.row_stride + c, og.pixel_stride, n, og.w);
  }
}

// Where along a side of n a padded coordinate lies; -1: outside.
inline int pad_source(PadMode mode, int at, int n) {
  if (at >= 0 && at < n) return at;
  if (mode == PadMode::zeros) return -1;
  if (mode == PadMode::replicate) return at < 0 ? 0 : n - 1;
  return at < 0 ? -at : 2 * (n - 1) - at;
}

inline void fill_elements(target out, float value, int n) {
  const vec v = splat(value);
  for (int c = 0; c < n; c += kVecWidth) store_n(out + c, v, n - c);
}

inline void pad_row(const MoveArgs& a, int y) {
  const MapGeometry& og = a.out.g;
  int c0 = 0;
  for (int s = 0; s < a.n_segs; ++s) {
    const MapGeometry& g = a.segs[s].g;
    const source in = elems(g, a.segs[s].taps[0]);
    const int in_y = pad_source(a.mode, y - a.top, g.h);
    target out = elems(og, a.out.data) + y * og.row_stride + c0;
    for (int x = 0; x < og.w; ++x, out += og.pixel_stride) {
      const int in_x = pad_source(a.mode, x - a.left, g.w);
      if (in_y < 0 || in_x < 0) {
        fill_elements(out, a.value, g.c);
      } else if (in == nullptr) {
        fill_elements(out, 0.0f, g.c);
      } else {
        move_run(in + in_y * g.row_stride + in_x * g.pixel_stride, 0, out, 0, g.c, 1);
      }
    }
    c0 += g.c;
  }
}

inline void depth_to_space_row(const MoveArgs& a, int y) {
  const MapGeometry& og = a.out.g;
  const int b = a.block;
  for (int c = 0; c < og.c; ++c) {
    for (int dx = 0; dx < b; ++dx) {
      const MoveSource from = channel_source(a, (c * b + y % b) * b + dx);
      move_run(from.p == nullptr ? nullptr : from.p + y / b * from.g->row_stride,
               from.g->pixel_stride,
               elems(og, a.out.data) + y * og.row_stride + dx * og.pixel_stride + c,
               b * og.pixel_stride, 1, og.w / b);
    }
  }
}

inline void space_to_depth_row(const MoveArgs& a, int y) {
  const MapGeometry& og = a.out.g;
  const int b = a.block;
  for (int c = 0; c < og.c / (b * b); ++c) {
    const MoveSource from = channel_source(a, c);
    for (int place = 0; place < b * b; ++place) {
      const source in = from.p == nullptr ? nullptr
                                          : from.p + (y * b + place / b) * from.g->row_stride +
                                                place % b * from.g->pixel_stride;
      move_run(in, b * from.g->pixel_stride,
               elems(og, a.out.data) + y * og.row_stride + c * b * b + place, og.pixel_stride, 1,
               og.w);
    }
  }
}

void move(const MoveArgs& a, int row_lo, int row_hi) {
  for (int y = row_lo; y < row_hi; ++y) {
    switch (a.op) {
      case MoveOp::pad:
        pad_row(a, y);
        break;
      case MoveOp::select:
        select_row(a, y);
        break;
      case MoveOp::depth_to_space:
        depth_to_space_row(a, y);
        break;
      case MoveOp::space_to_depth:
        space_to_depth_row(a, y);
        break;
    }
  }
}
