// SPDX-License-Identifier: Apache-2.0
// Graph: the description of a network, its clocks, stages and delays. Plain host data, no weights,
// no state. Built node by node (every node is checked and its shape and clock inferred when it is
// added), then wired; docs/glossary.md has the words.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "graph/status.hpp"

namespace pvnet {

enum class Op : uint8_t {
  input,   // attrs: channels, height, width, mean, std (for uint8 frames: (x / 255 - mean) / std)
  conv3d,  // out, kernel, stride, padding, padding_end, dilation, groups, bias, norm, norm_eps, act
  max_pool,     // kernel, stride, padding, padding_end
  avg_pool,     // kernel, stride, padding, padding_end, count_include_pad
  global_pool,  // mean over space and over the last `window` firings -> [c, 1, 1]
  concat,       // over channels; inputs agree in (h, w)
  add,          // n inputs of one shape; act
  mul,          // n inputs of one shape; an input of [c, 1, 1] or [1, h, w] is broadcast
  act,          // act: any (softmax over channels)
  upsample,     // size (h, w), mode nearest | bilinear (align_corners = false)
  linear,       // out, bias, act; reads the flattened (c, h, w) map -> [out, 1, 1]
  normalize,    // mean, std per channel: (x - mean) / std
  delay,        // ticks: the value `ticks` ticks ago
  feedback,     // ticks >= 1; the input is a node that may be added later; channels, height, width
};

enum class Act : uint8_t { none, relu, silu, sigmoid, softmax, clamp };
enum class Interp : uint8_t { nearest, bilinear };
enum class Wiring : uint8_t { sequential, pipelined, predictive };

struct Shape {  // one frame of a value
  int c = 0, h = 0, w = 0;
  bool operator==(const Shape&) const = default;
};

// Due at ticks origin + j * period, j = 0, 1, ...
struct Clock {
  int64_t period = 1;
  int64_t origin = 0;
  bool operator==(const Clock&) const = default;
};

// Every attribute of every op; the ones an op does not use keep their default.
struct Attrs {
  int channels = 0, height = 0, width = 0;  // input, feedback
  int out = 0;                              // conv3d, linear
  std::array<int, 3> kernel{1, 1, 1};       // (time, height, width)
  std::array<int, 3> stride{1, 1, 1};
  std::array<int, 3> dilation{1, 1, 1};
  // (height, width) in front of the map and behind it; time is always causal. read_attrs() makes
  // padding_end equal to padding where it is not given.
  std::array<int, 2> padding{0, 0}, padding_end{0, 0};
  int groups = 1;
  bool bias = true;
  bool norm = false;  // batch norm, folded when a Plan is compiled
  double norm_eps = 1e-5;
  Act act = Act::none;
  double act_low = 0, act_high = 6;  // clamp; infinite: no bound
  bool count_include_pad = true;     // avg_pool
  int window = 1;                    // global_pool, in firings
  std::array<int, 2> size{0, 0};     // upsample
  Interp mode = Interp::nearest;     // upsample
  int ticks = 0;                     // delay, feedback
  int phase = 0;                     // extra ticks added to the origin (< period)
  std::vector<float> mean, std;      // input, normalize
  bool operator==(const Attrs&) const = default;
};

// An edge src -> this node that reads v_src(t - delay). `delay` is the delay of the current wiring
// (explicit ticks of delay and feedback nodes included).
struct Edge {
  int src = -1;
  int64_t delay = 0;
  bool feedback = false;
};

struct Node {
  std::string name;
  Op op = Op::input;
  Attrs attrs;
  std::vector<Edge> inputs;
  int stage = 0;
  // Inferred:
  Shape shape;
  Clock clock;
  bool feedback_only = false;  // nothing but feedback feeds it: it never decides a clock
  int64_t macs = 0;            // multiply-adds of one firing, zero-padding taps counted
  double cost = 0;             // estimated time of one firing, arbitrary unit (see cost_model.hpp)
};

struct Output {
  std::string name;
  int node = -1;
};

// Of documents of graphs and of model files. Version 2 has the clamp and padding_end.
constexpr int kNewestFormat = 2;

class Graph {
 public:
  // Adds a node given as JSON, e.g. {"op":"conv3d","name":"stem","inputs":["frame"],
  // "attrs":{"out":64,"kernel":[3,7,7],"padding":[3,3]}}; an empty or missing name is made up
  // ("conv3d_1"). Checks it, infers shape and clock, returns its index. On error the graph is
  // unchanged.
  Result<int> add(std::string_view node_json);
  // Declares node `node` to be the output `name`.
  Status set_output(std::string_view name, std::string_view node);

  // Everything that can only be checked once all nodes are there: at least one input and output,
  // feedback targets exist with the declared shape, every cycle has a delay of at least 1 (the
  // message names the cycle), periods divide one another.
  Status check() const;

  // The same nodes with other timing. stages: see wiring.hpp. Delays, clocks and stages are set.
  Result<Graph> wire(Wiring wiring, const std::vector<std::vector<std::string>>& stages) const;
  // K stages cut where that minimises the slowest stage (cost amortised over the period).
  // costs: measured microseconds per firing by node name; empty = the cost model.
  Result<Graph> wire(Wiring wiring, int stages,
                     const std::vector<std::pair<std::string, double>>& costs = {}) const;

  // The finest cut: one stage for every operation with weights (partition.hpp has the rule).
  Result<Graph> wire_layers(Wiring wiring) const;

  // The graph as it is stored in a model file, and back; every check of add() and check() is run.
  std::string to_json() const;
  // The version of that document: the oldest that has all that the graph uses.
  int format_version() const;
  static Result<Graph> from_json(std::string_view text);
  // Everything inferred: shapes, clocks, delays, stages, costs, latencies (docs/model_format.md).
  Result<std::string> resolved_json() const;

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  Wiring wiring() const { return wiring_; }
  int n_stages() const { return n_stages_; }
  // Ticks by which an output is read late, so that all outputs of a tick of the pipelined wiring
  // belong to one frame (the sequential outputs, K - 1 ticks ago) whatever stage they come from.
  int64_t output_delay(const Output& output) const {
    if (wiring_ != Wiring::pipelined) return 0;
    return n_stages_ - 1 - nodes_[static_cast<size_t>(output.node)].stage;
  }
  int64_t hyper_period() const;           // lcm of all periods, in ticks
  int find(std::string_view name) const;  // index, or -1
  // Order in which the nodes of one tick may run: every delay-0 edge goes forward. Only valid
  // after check().
  std::vector<int> topological_order() const;

 private:
  friend struct GraphBuilder;
  std::vector<Node> nodes_;
  std::vector<Output> outputs_;
  std::map<std::string, int, std::less<>> index_;  // node name -> index
  // Targets of feedback nodes that are not yet added -> those feedback nodes.
  std::map<std::string, std::vector<int>, std::less<>> pending_;
  std::map<int, std::string> awaited_;  // the same the other way round: feedback node -> target
  std::set<std::string, std::less<>> output_names_;
  std::array<size_t, 14> names_made_{};  // by op: how many of its numbered names are taken
  Wiring wiring_ = Wiring::sequential;
  int n_stages_ = 1;
};

const char* to_string(Op op);
const char* to_string(Act act);
const char* to_string(Interp mode);
const char* to_string(Wiring wiring);
Result<Op> op_from_string(std::string_view s);
Result<Act> act_from_string(std::string_view s);
Result<Interp> interp_from_string(std::string_view s);
Result<Wiring> wiring_from_string(std::string_view s);

}  // namespace pvnet
