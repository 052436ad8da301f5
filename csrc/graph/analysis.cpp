// SPDX-License-Identifier: Apache-2.0
#include "graph/analysis.hpp"

#include <algorithm>
#include <limits>

#include "graph/errors.hpp"
#include "graph/firing.hpp"

namespace pvnet {

namespace {

// Table entries that one analysis may hold: 400 MB of the largest table at the limit.
constexpr int64_t kMaxEntries = 50'000'000;
constexpr int64_t kNone = std::numeric_limits<int64_t>::min() / 4;  // "no frame reaches this"

size_t at(int64_t i) { return static_cast<size_t>(i); }

Status too_large(const char* what, int64_t got) {
  return failed(Code::graph, "Graph", std::string("the ") + what + " are too large to analyse",
                std::to_string(got) + " table entries", "at most " + std::to_string(kMaxEntries),
                "Use shorter delays, smaller temporal strides or fewer stages.");
}

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
    PVNET_TRY(receptive_fields());
    if (with_ages) PVNET_TRY(ages(a.settle_ticks + hyper_));
    for (const Output& o : graph_.outputs()) {
      const size_t n = at(o.node);
      OutputAnalysis facts;
      facts.information_latency_ticks = latency_[n] + graph_.output_delay(o);
      facts.warm_up_ticks = warm_up_[n] + graph_.output_delay(o);
      facts.receptive_field_frames = looped_[n] ? 0 : receptive_field(o.node);
      if (with_ages) facts.age_ticks = age_table(o, a.settle_ticks + hyper_);
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

  // Steady state: of every firing in one hyper-period, how many ticks before it its newest and its
  // oldest frame lie. Firings repeat with hyper / period.
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

  Status receptive_fields() {
    int64_t entries = 0;
    for (const Node& n : nodes_) entries += hyper_ / n.clock.period;
    if (entries > kMaxEntries) return too_large("clocks", entries);
    spans_.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Node& n = nodes_[i];
      spans_[i].resize(at(hyper_ / n.clock.period));
      for (size_t j = 0; j < spans_[i].size(); ++j) {
        const int64_t tick = n.clock.origin + static_cast<int64_t>(j) * n.clock.period;
        Span& s = spans_[i][j];
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
      }
    }
    return {};
  }

  int64_t receptive_field(int n) const {
    int64_t most = 1;
    for (const Span& s : spans_[at(n)]) most = std::max(most, s.oldest - s.newest + 1);
    return most;
  }

  // From the beginning: the newest frame that reaches every firing, on any path (column 0) and on a
  // path through a node of stage s (column 1 + s). A table lives until its last reader is done.
  Status ages(int64_t ticks) {
    const int64_t columns = graph_.n_stages() + 1;
    std::vector<int> last_reader(nodes_.size(), -1);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      for (const Edge& e : nodes_[i].inputs) {
        if (!e.feedback) last_reader[at(e.src)] = static_cast<int>(i);
      }
    }
    for (const Output& o : graph_.outputs()) {
      last_reader[at(o.node)] = std::numeric_limits<int>::max();
    }
    const int64_t tables = static_cast<int64_t>(graph_.outputs().size());
    if (ticks > kMaxEntries / columns / std::max<int64_t>(1, tables)) {
      return too_large("delays", ticks * columns * tables);
    }
    newest_.resize(nodes_.size());
    int64_t live = 0;
    int64_t work = 0;
    std::vector<std::vector<int>> dies_at(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (last_reader[i] >= 0) {  // else nobody looks at it
        const Clock& c = nodes_[i].clock;
        const int64_t firings = std::max<int64_t>(0, (ticks - c.origin + c.period - 1) / c.period);
        live += firings * columns;
        work += firings * columns * (1 + static_cast<int64_t>(nodes_[i].inputs.size()));
        if (live > kMaxEntries) return too_large("delays", live);
        if (work > 20 * kMaxEntries) return too_large("delays", work);
        fill(i, firings, columns);
        if (last_reader[i] < std::numeric_limits<int>::max()) {
          dies_at[at(last_reader[i])].push_back(static_cast<int>(i));
        }
      }
      for (const int dead : dies_at[i]) {
        live -= static_cast<int64_t>(newest_[at(dead)].size());
        newest_[at(dead)] = {};
      }
    }
    return {};
  }

  void fill(size_t i, int64_t firings, int64_t columns) {
    const Node& n = nodes_[i];
    std::vector<int64_t>& table = newest_[i];
    table.assign(at(firings * columns), kNone);
    for (int64_t j = 0; j < firings; ++j) {
      int64_t* row = &table[at(j * columns)];
      const int64_t tick = n.clock.origin + j * n.clock.period;
      if (n.op == Op::input) row[0] = tick;
      for (const Edge& e : n.inputs) {
        if (e.feedback) continue;
        const int64_t firing = firing_at(node(e.src).clock, tick, e.delay);
        if (firing < 0) continue;
        const int64_t* from = &newest_[at(e.src)][at(firing * columns)];
        for (int64_t k = 0; k < columns; ++k) row[k] = std::max(row[k], from[k]);
      }
      row[1 + n.stage] = row[0];
    }
  }

  std::vector<std::vector<int64_t>> age_table(const Output& output, int64_t ticks) const {
    const int n = output.node;
    const int64_t stages = graph_.n_stages();
    std::vector<std::vector<int64_t>> table;
    table.reserve(at(ticks));
    for (int64_t t = 0; t < ticks; ++t) {
      std::vector<int64_t> row(at(stages), -1);
      const int64_t firing = firing_at(node(n).clock, t, graph_.output_delay(output));
      for (int64_t s = 0; firing >= 0 && s < stages; ++s) {
        const int64_t frame = newest_[at(n)][at(firing * (stages + 1) + 1 + s)];
        if (frame != kNone) row[at(s)] = t - frame;
      }
      table.push_back(std::move(row));
    }
    return table;
  }

  const std::vector<Node>& nodes_;
  const Graph& graph_;
  int64_t hyper_;
  std::vector<int64_t> latency_, warm_up_;
  std::vector<bool> looped_;
  std::vector<std::vector<Span>> spans_;
  std::vector<std::vector<int64_t>> newest_;
};

}  // namespace

Result<Analysis> analyse(const Graph& graph, bool with_ages) {
  return Analyser(graph).run(with_ages);
}

}  // namespace pvnet
