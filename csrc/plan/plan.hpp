// SPDX-License-Identifier: Apache-2.0
// Plan: everything about running a graph that can be computed before the first frame: memory
// layout, ring depths, packed weights, and for every tick of the hyper-period who runs what.
// Immutable after compile(), shared by any number of Streams and threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/layout.hpp"
#include "graph/graph.hpp"
#include "graph/status.hpp"
#include "model/model_file.hpp"

namespace pvnet {

class WeightSource;  // csrc/model/weight_source.hpp
struct Backend;      // csrc/backends/backend.hpp
namespace device {
struct Program;  // csrc/plan/device/program.hpp
}
struct OpParams;  // csrc/plan/op_params.hpp: what a kernel call needs besides pointers

// 64-byte aligned bytes, zeroed.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(size_t n);
  ~AlignedBytes();
  AlignedBytes(AlignedBytes&& other) noexcept;
  AlignedBytes& operator=(AlignedBytes&& other) noexcept;
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  float* floats() { return reinterpret_cast<float*>(data_); }
  const float* floats() const { return reinterpret_cast<const float*>(data_); }
  size_t size() const { return size_; }
  void clear();  // zeros, as at first

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Of the values of a node, after its activation; of an input after mean and std.
struct ValueRange {
  float low = 0.0f, high = 0.0f;
  bool operator==(const ValueRange&) const = default;
};

struct CompileOptions {
  std::string backend = "auto";  // auto, ref, cpu, cuda
  std::string isa;               // "" = best of this machine (or PVNET_CPU_ISA)
  std::string dtype = "f32";     // bf16, int8; cuda: tf32, f16, bf16
  int lanes = 0;    // 0 = number of CPUs this process may use, at most the useful number
  int batch = 1;    // batch rows: independent videos
  bool pin = true;  // pin worker lanes to CPUs
  // false: while other programs keep the CPUs busy, so that lanes wait for each other longer than
  // sharing a tick saves, the caller makes ticks alone. The results are the same.
  bool fixed_lanes = false;
  std::map<std::string, double>
      costs;                       // measured microseconds per firing by node; else the model's
  std::string executor = "auto";   // cuda only: plan/executor.hpp has the names
  std::string algorithm = "auto";  // of convolutions: backends/algorithm.hpp has the names
  std::map<std::string, std::string> algorithms;  // of single ones by node, before `algorithm`
  std::string memory = "fast";                    // small: no algorithm that needs larger weights
  std::map<std::string, ValueRange> ranges;  // dtype int8: by node; without one, a map stays f32
};

// Where a value lives inside the memory of one batch row. A node with memory has one whose form its
// op (or a frame) writes, and one more for every other form that is read. A convolution that ends
// in the sum of an add has none.
struct Value {
  int node = -1;
  Shape shape;
  int halo_h = 0, halo_w = 0;
  int64_t pixel_stride = 0, row_stride = 0;  // elements
  int64_t slot_bytes = 0;
  int depth = 1;            // ring slots; firing J lies in slot J mod depth
  bool persistent = false;  // read in a later tick: part of the stream's state
  int64_t offset = 0;       // bytes from the start of the row's state (persistent) or scratch
  Clock clock;
  Dtype dtype = Dtype::f32;
  Domain domain = Domain::spatial;
  float scale = 1.0f;  // of 8 bits: what a step stands for

  Form form() const { return {dtype, domain}; }
};

// A read through concat, delay and feedback nodes, which hold no memory of their own: start from a
// tick or a firing, follow the hops, arrive at a firing of a value.
struct Hop {
  Clock clock;        // of the node read at this hop
  int64_t delay = 0;  // of the edge that reads it
};
struct Segment {
  int value = -1;
  int c = 0;              // channels of the value
  std::vector<Hop> hops;  // first = nearest to the reader; the last one belongs to `value`
};

// Every op writes one value, and every value but those of inputs has one op. So another form of a
// node is written by an op of its own, which reads the node's first value: lanes, levels and memory
// then need to know nothing of forms, and no kernel writes two maps.
struct PlanOp {
  int node = -1;
  int out_value = -1;
  bool converts = false;  // from the first value of its node; it computes nothing
  // Of a convolution that ends in an element-wise sum: the node of the add, whose value it writes.
  // Its second operand is the map that is added. The convolution's own node has no value then.
  int sum = -1;
  Clock clock;
  int stage = 0;
  int group = 0;  // ops of one group depend on each other inside a tick, groups do not
  int level = 0;  // within the group: an op reads this tick's values of lower levels only
  int tiles = 1;
  int taps = 1, dilation = 1;  // temporal taps of a read, counted in firings of what is read
  double cost = 0;             // of one firing
  double reading = 0;          // of its weights from memory, where all lanes read at once
  std::vector<std::vector<Segment>> operands;  // one list of segments per input edge
  int64_t packed_offset = -1;                  // bytes into the packed weights
  std::shared_ptr<const OpParams> params;

  // What is added is read at one tap.
  int taps_of(size_t operand) const { return sum >= 0 && operand == 1 ? 1 : taps; }
};

struct TileRange {  // tiles [lo, hi) of op
  int op = -1;
  int lo = 0, hi = 0;
};
// Lanes run their lists in order, side by side; a barrier separates supersteps.
struct Superstep {
  std::vector<std::vector<TileRange>> lanes;
};
struct TickSchedule {
  std::vector<Superstep> supersteps;
  bool solo = false;  // one superstep, all of it on lane 0: the other lanes are not woken
};

// Age of what each stage contributed to an output, and whether the output is warmed up.
struct OutputFacts {
  std::string name;
  Shape shape;
  int64_t information_latency_ticks = 0;
  int64_t warm_up_ticks = 0;
  int64_t receptive_field_frames = 0;  // 0: unbounded (feedback)
  // age_ticks[tick][stage] for ticks 0 .. settle + hyper_period - 1; from `settle` on it repeats
  // with the hyper-period. -1: that stage has contributed nothing yet (or never does).
  std::vector<std::vector<int64_t>> age_ticks;
  std::vector<Segment> source;
};

class Plan {
 public:
  // Weights are asked for node by node, and none is kept but as packed.
  static Result<std::shared_ptr<const Plan>> compile(const Graph& graph,
                                                     const WeightSource& weights,
                                                     const CompileOptions& options);
  static Result<std::shared_ptr<const Plan>> compile(const Graph& graph, const Weights& weights,
                                                     const CompileOptions& options);

  Graph graph;
  CompileOptions options;  // as resolved: lanes > 0, isa and backend named
  const Backend* backend = nullptr;
  std::vector<Value> values;
  std::vector<PlanOp> ops;        // in topological order
  std::vector<int> input_values;  // value of each input node, in node order
  std::vector<std::vector<float>> input_scale,
      input_shift;  // uint8 -> float, per input and channel
  std::vector<OutputFacts> outputs;
  int64_t hyper_period = 1;
  int64_t settle_ticks = 0;            // after this tick everything repeats with the hyper-period
  std::vector<TickSchedule> schedule;  // [hyper_period], index tick mod hyper_period
  AlignedBytes packed;                 // packed weights of all ops
  int64_t state_bytes = 0;             // per batch row
  int64_t scratch_bytes = 0;           // per batch row
  int64_t lane_bytes = 0;              // per lane: what a call of a kernel needs beside its maps
  std::shared_ptr<const device::Program> device;  // of backends whose kernels run on a device
  uint64_t fingerprint = 0;  // of graph, weights, backend and state layout: guards snapshots
  int max_segments = 1;      // of any operand list of any op

  // What profilers call op `i`: its node, and with a "+" the add that it ends in.
  std::string op_name(size_t i) const;

  // What a Stream of this plan takes: state, scratch and results of every row of the batch, and
  // what every lane needs. compile() has seen that it fits 64 bits; StreamCore::create() that it is
  // there.
  int64_t stream_bytes() const;
  std::string to_json() const;  // for people and tools: arena, rings, schedule
};

// Proves a plan from its graph before anything runs it, whatever the plan itself says: every tap of
// every op reaches the node and firing that the semantics demand, with the parameters, shape, halo
// and tiles of the right node; rings are deep enough; every due tile is computed exactly once,
// before it is read; nothing writes over what is still needed; facts, sizes and fingerprint are
// right. compile() does the same, and compares the packed weights with those it was given. Public
// so that tests can break plans.
Status validate(const Plan& plan);

// Resolves a read at `tick`: the firing index of the value, or a negative number when nothing is
// there yet. `taps_back` counts firings of the nearest hop.
int64_t resolve_firing(const Segment& segment, int64_t tick, int64_t taps_back);

}  // namespace pvnet
