// SPDX-License-Identifier: Apache-2.0
#include "python/tensor_ops.hpp"

#include <algorithm>
#include <atomic>

#include "host/subnormals.hpp"
#include "host/threads.hpp"

namespace pvnet::python {
namespace {

constexpr int64_t kAlignFloats = 16;             // one cache line
constexpr double kMacsWorthAThread = 2'000'000;  // about ten times what starting a thread costs

// n channels-last maps of one shape with zero halos, side by side.
class Maps {
 public:
  Maps(int64_t n, int c, int h, int w, int halo_h, int halo_w) {
    g_ = {.h = h, .w = w, .c = c, .halo_h = halo_h, .halo_w = halo_w};
    g_.pixel_stride = (c + kAlignFloats - 1) / kAlignFloats * kAlignFloats;
    g_.row_stride = (w + 2 * halo_w) * g_.pixel_stride;
    slot_ = (h + 2 * halo_h) * g_.row_stride;
    memory_.resize(static_cast<size_t>(n * slot_ + kAlignFloats));
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    base_ = memory_.data() + (64 - address % 64) % 64 / sizeof(float);
  }
  MapView operator[](int64_t i) {
    return {g_, base_ + i * slot_ + g_.halo_h * g_.row_stride + g_.halo_w * g_.pixel_stride};
  }
  const MapGeometry& geometry() const { return g_; }

 private:
  MapGeometry g_;
  int64_t slot_ = 0;
  std::vector<float> memory_;
  float* base_ = nullptr;
};

// f(0) ... f(n - 1), each once, by up to `threads` threads; by fewer where the system refuses one,
// with the same results. f must not throw.
template <class F>
void parallel_for(int64_t n, int threads, const F& f) {
  struct Job {
    const F& f;
    const int64_t n;
    std::atomic<int64_t> next{0};
    static void* work(void* job) {
      const SubnormalsAsZero mode;
      Job& j = *static_cast<Job*>(job);
      for (int64_t i = j.next++; i < j.n; i = j.next++) j.f(i);
      return nullptr;
    }
  } job{f, n};
  std::vector<pthread_t> pool(static_cast<size_t>(std::clamp<int64_t>(n, 1, threads) - 1));
  size_t started = 0;
  while (started < pool.size() && start_thread(pool[started], &Job::work, &job) == 0) ++started;
  Job::work(&job);
  for (size_t i = 0; i < started; ++i) pthread_join(pool[i], nullptr);
}

// The firings that any of `ticks` reads, ascending, and for each (tick, tap) its position there or
// -1. Tap kt - 1 is the newest.
struct Taps {
  std::vector<int64_t> firings;
  std::vector<int64_t> position;  // [ticks][kt]
  Taps(const std::vector<int64_t>& ticks, int kt, int dilation) {
    std::vector<int64_t> wanted;
    for (const int64_t tick : ticks) {
      for (int j = 0; j < kt; ++j) wanted.push_back(tick - int64_t{kt - 1 - j} * dilation);
    }
    for (const int64_t f : wanted) {
      if (f >= 0) firings.push_back(f);
    }
    std::sort(firings.begin(), firings.end());
    firings.erase(std::unique(firings.begin(), firings.end()), firings.end());
    for (const int64_t f : wanted) {
      const auto at = std::lower_bound(firings.begin(), firings.end(), f);
      position.push_back(f < 0 ? -1 : at - firings.begin());
    }
  }
};

// Row after row: frames in, `kernel(taps, input geometry, out map, lo, hi)` over all tiles of all
// ticks, results out.
template <class Kernel>
void run(const HostKernels& kernels, const Input& in, const Window& window, const Output& out,
         int tiles, double macs, int threads, const Kernel& kernel) {
  const int kt = window.kernel[0];
  const auto n_out = static_cast<int64_t>(out.ticks.size());
  const Taps taps(out.ticks, kt, window.dilation[0]);
  const auto n_in = static_cast<int64_t>(taps.firings.size());
  const Firings& src = in.firings;
  Maps in_maps(n_in, src.c, src.h, src.w, window.padding[0], window.padding[1]);
  Maps out_maps(n_out, out.c, out.h, out.w, 0, 0);
  std::vector<const float*> pointers;
  for (const int64_t p : taps.position) pointers.push_back(p < 0 ? nullptr : in_maps[p].data);

  threads = static_cast<int>(std::clamp(macs * n_out / kMacsWorthAThread, 1.0, threads * 1.0));
  const int64_t chunks = std::clamp<int64_t>(2 * threads / std::max<int64_t>(n_out, 1), 1, tiles);
  for (int row = 0; row < in.rows; ++row) {
    parallel_for(n_in, threads, [&](int64_t i) {
      const int64_t index = taps.firings[i] % in.depth;
      kernels.load_f32(src.data + row * src.row_stride + index * src.firing_stride, src.strides,
                       in_maps[i]);
    });
    parallel_for(n_out * chunks, threads, [&](int64_t i) {
      const int64_t k = i / chunks, chunk = i % chunks;
      kernel(pointers.data() + k * kt, in_maps.geometry(), out_maps[k],
             static_cast<int>(chunk * tiles / chunks),
             static_cast<int>((chunk + 1) * tiles / chunks));
    });
    parallel_for(n_out, threads, [&](int64_t k) {
      MapView map = out_maps[k];
      map.g.c = 1;  // one channel at a time: the planes of a clip's frame lie apart
      float* dst = out.data + row * out.row_stride + k * out.firing_stride;
      for (int c = 0; c < out.c; ++c) {
        kernels.store_f32(map.g, map.data + c, dst + c * out.channel_stride, 0, map.g.h);
      }
    });
  }
}

}  // namespace

void run_conv(const HostKernels& kernels, const Input& in, const Window& window,
              const ConvWeights& weights, const Output& out, int threads) {
  const int channels = in.firings.c;
  ConvShape s;
  s.in_h = in.firings.h, s.in_w = in.firings.w, s.in_c = channels;
  s.out_h = out.h, s.out_w = out.w, s.out_c = out.c;
  s.kt = window.kernel[0], s.kh = window.kernel[1], s.kw = window.kernel[2];
  s.sh = window.stride[1], s.sw = window.stride[2];
  s.ph = window.padding[0], s.pw = window.padding[1];
  s.dh = window.dilation[1], s.dw = window.dilation[2];
  s.groups = weights.groups;
  s.seg_c = &channels, s.n_segs = 1;
  std::vector<float> packed(kernels.conv_packed_floats(s));
  kernels.conv_pack(s, weights.weight, weights.bias, packed.data());
  const double macs = 1.0 * s.out_h * s.out_w * s.out_c * (s.in_c / s.groups) * s.kt * s.kh * s.kw;
  run(kernels, in, window, out, kernels.conv_tiles(s), macs, threads,
      [&](const float* const* taps, const MapGeometry& g, const MapView& map, int lo, int hi) {
        const SegmentView segment{g, taps};
        kernels.conv({&s, &segment, packed.data(), map}, lo, hi);
      });
}

void run_pool(const HostKernels& kernels, const Input& in, const Window& window, PoolKind kind,
              const Output& out, int threads) {
  PoolArgs args;
  args.is_max = kind.is_max, args.count_include_pad = kind.count_include_pad;
  args.kt = window.kernel[0], args.kh = window.kernel[1], args.kw = window.kernel[2];
  args.sh = window.stride[1], args.sw = window.stride[2];
  args.ph = window.padding[0], args.pw = window.padding[1];
  args.dh = window.dilation[1], args.dw = window.dilation[2];
  const double macs = 1.0 * out.h * out.w * out.c * args.kt * args.kh * args.kw;
  run(kernels, in, window, out, out.h, macs, threads,
      [&](const float* const* taps, const MapGeometry& g, const MapView& map, int lo, int hi) {
        PoolArgs mine = args;
        mine.seg = {g, taps}, mine.out = map;
        kernels.pool(mine, lo, hi);
      });
}

}  // namespace pvnet::python
