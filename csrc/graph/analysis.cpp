// SPDX-License-Identifier: Apache-2.0
#include "graph/analysis.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "graph/ages.hpp"
#include "graph/firing.hpp"
#include "graph/limits.hpp"

namespace pvnet {

namespace {

constexpr int64_t kNone = std::numeric_limits<int64_t>::min() / 4;  // "no frame reaches this"

size_t at(int64_t i) { return static_cast<size_t>(i); }

class Analyser {
 public:
  explicit Analyser(const Graph& graph)
      : nodes_(graph.nodes()), graph_(graph), hyper_(graph.hyper_period()) {}

  Result<Analysis> run(bool with_ages) {
    Analysis a;
    a.hyper_period = hyper_;
    forward_pass();
    for (const int64_t w : warm_up_) a.settle_ticks = std::max(a.settle_ticks, w);
    for (const Output& o : graph_.outputs()) {
      const int64_t warm = warm_up_[at(o.node)] + graph_.output_delay(o);
      a.settle_ticks = std::max(a.settle_ticks, warm);
    }
    repeat_after();
    PVNET_TRY(receptive_fields());
    std::vector<AgeTable> ages(graph_.outputs().size());
    if (with_ages) {
      Result<std::vector<AgeTable>> tables = age_tables(graph_, local_, a.settle_ticks + hyper_);
      if (!tables.ok()) return tables.status();
      ages = std::move(tables).value();
    }
    for (size_t i = 0; i < ages.size(); ++i) {
      const Output& o = graph_.outputs()[i];
      const size_t n = at(o.node);
      OutputAnalysis facts;
      facts.information_latency_ticks = latency_[n] + graph_.output_delay(o);
      facts.warm_up_ticks = warm_up_[n] + graph_.output_delay(o);
      facts.receptive_field_frames = looped_[n] ? 0 : receptive_[n];
      facts.age_ticks = std::move(ages[i]);
      a.outputs.push_back(std::move(facts));
    }
    return a;
  }

 private:
  const Node& node(int n) const { return nodes_[at(n)]; }

  // Latency, warm-up and "behind a feedback node" of every node. A node is warm at its first firing
  // that reads only warm firings; from there on all are, because every read moves forward in time.
  void forward_pass() {
    const size_t count = nodes_.size();
    latency_.assign(count, std::numeric_limits<int64_t>::max() / 4);
    warm_up_.assign(count, 0);
    looped_.assign(count, false);
    for (size_t i = 0; i < count; ++i) {
      const Node& n = nodes_[i];
      if (n.op == Op::input) latency_[i] = 0;
      if (n.op == Op::feedback) looped_[i] = true;
      int64_t from = n.clock.origin;
      for (const Edge& e : n.inputs) {
        if (e.feedback) continue;
        const size_t m = at(e.src);
        latency_[i] = std::min(latency_[i], latency_[m] + e.delay);
        from = std::max(from, warm_up_[m] + e.delay);
        if (looped_[m]) looped_[i] = true;
      }
      warm_up_[i] = next_firing(n.clock, from);
    }
  }

  static int64_t next_firing(const Clock& c, int64_t tick) {
    return c.origin - floor_div(c.origin - tick, c.period) * c.period;
  }

  // Most nodes depend on a few clocks only, and repeat long before the whole graph does.
  void repeat_after() {
    local_.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      local_[i] = nodes_[i].clock.period;
      for (const Edge& e : nodes_[i].inputs) {
        if (!e.feedback) local_[i] = std::lcm(local_[i], local_[at(e.src)]);
      }
    }
  }

  // Steady state: of every firing until a node repeats, how many ticks before it its newest and its
  // oldest frame lie.
  struct Span {
    int64_t newest = -kNone;
    int64_t oldest = kNone;
  };

  static int64_t taps_back(const Node& n) {
    if (n.op == Op::global_pool) return n.attrs.window - 1;
    return int64_t{n.attrs.kernel[0] - 1} * n.attrs.dilation[0];
  }

  const Span& span_of(int m, int64_t firing) const {
    const auto& table = spans_[at(m)];
    const int64_t size = static_cast<int64_t>(table.size());
    return table[at(firing - floor_div(firing, size) * size)];
  }

  // A table lives until its last reader is done.
  Status receptive_fields() {
    const std::vector<int> last_reader = last_readers(nodes_);
    std::vector<std::vector<size_t>> dies_at(nodes_.size());
    int64_t work = 0;
    spans_.resize(nodes_.size());
    receptive_.assign(nodes_.size(), 1);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      spans_[i].resize(at(local_[i] / nodes_[i].clock.period));
      work += static_cast<int64_t>(spans_[i].size() * (1 + nodes_[i].inputs.size()));
      if (work > kMaxAnalysisSteps) {
        return too_large_to_analyse("clocks", "more than " + std::to_string(work),
                                    kMaxAnalysisSteps);
      }
      for (size_t j = 0; j < spans_[i].size(); ++j) {
        const Span s = span_at(nodes_[i], static_cast<int64_t>(j));
        spans_[i][j] = s;
        receptive_[i] = std::max(receptive_[i], s.oldest - s.newest + 1);
      }
      dies_at[last_reader[i] < 0 ? i : at(last_reader[i])].push_back(i);
      for (const size_t dead : dies_at[i]) spans_[dead] = {};
    }
    return {};
  }

  Span span_at(const Node& n, int64_t firing) const {
    const int64_t tick = n.clock.origin + firing * n.clock.period;
    Span s;
    if (n.op == Op::input) s = {0, 0};
    for (const Edge& e : n.inputs) {
      if (e.feedback) continue;
      const Clock& c = node(e.src).clock;
      const int64_t newest = firing_at(c, tick, e.delay);
      const int64_t oldest = newest - taps_back(n);
      const Span& a = span_of(e.src, newest);
      const Span& b = span_of(e.src, oldest);
      if (b.oldest == kNone) continue;  // only feedback feeds it
      s.newest = std::min(s.newest, tick - (c.origin + newest * c.period) + a.newest);
      s.oldest = std::max(s.oldest, tick - (c.origin + oldest * c.period) + b.oldest);
    }
    return s;
  }

  const std::vector<Node>& nodes_;
  const Graph& graph_;
  int64_t hyper_;
  std::vector<int64_t> latency_, warm_up_;
  std::vector<int64_t> local_;  // ticks after which a node and all it depends on repeat
  std::vector<int64_t> receptive_;
  std::vector<bool> looped_;
  std::vector<std::vector<Span>> spans_;
};

}  // namespace

Result<Analysis> analyse(const Graph& graph, bool with_ages) {
  return Analyser(graph).run(with_ages);
}

}  // namespace pvnet
