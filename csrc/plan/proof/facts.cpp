// SPDX-License-Identifier: Apache-2.0
// Facts of outputs, from clocks and delays alone. Unlike the analysis that made them, a node is
// followed until it is warm and then for one hyper-period: from there on everything repeats.
#include <algorithm>
#include <limits>

#include "plan/proof/proof.hpp"

namespace pvnet::proof {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::min() / 4;  // no frame contributes

int64_t firing_before(const Clock& clock, int64_t tick) {  // or at it
  const int64_t ticks = tick - clock.origin;
  return ticks >= 0 ? ticks / clock.period : -((clock.period - 1 - ticks) / clock.period);
}

struct Story {  // of one node
  int64_t latency = std::numeric_limits<int64_t>::max() / 4;
  int64_t warm = 0;  // tick of the first firing from which on all are warm
  bool looped = false;
  int64_t last_reader = -1;
  // [firing][stage + 1]: newest frame on any path, and on those through a stage. The last
  // hyper-period of it repeats.
  std::vector<int64_t> newest;
  // [firing of a hyper-period]: ticks between a settled firing and the newest and the oldest frame
  // that it depends on; kNever in both where only feedback feeds it.
  std::vector<int64_t> young, old;
};

class Facts {
 public:
  explicit Facts(const Plan& plan)
      : plan_(plan),
        nodes_(plan.graph.nodes()),
        hyper_(plan.hyper_period),
        columns_(plan.graph.n_stages() + 1),
        stories_(nodes_.size()) {}

  Status run() {
    int64_t settle = 0;
    for (size_t n = 0; n < nodes_.size(); ++n) {
      begin(n);
      settle = std::max(settle, stories_[n].warm);
    }
    for (const Output& o : plan_.graph.outputs()) {
      Story& s = stories_[static_cast<size_t>(o.node)];
      settle = std::max(settle, s.warm + plan_.graph.output_delay(o));
      s.last_reader = std::numeric_limits<int64_t>::max();
    }
    if (plan_.settle_ticks != settle) {
      return wrong("ticks to settle", std::to_string(plan_.settle_ticks), std::to_string(settle));
    }
    std::vector<std::vector<size_t>> last_read(nodes_.size());
    for (size_t n = 0; n < nodes_.size(); ++n) {
      Story& s = stories_[n];
      if (s.last_reader >= 0) {  // else nobody asks
        tell_span(n);
        tell_newest(n);
      }
      if (s.last_reader >= 0 && s.last_reader < static_cast<int64_t>(nodes_.size())) {
        last_read[static_cast<size_t>(s.last_reader)].push_back(n);
      }
      for (const size_t done : last_read[n]) {
        stories_[done].newest = {};
        stories_[done].young = stories_[done].old = {};
      }
    }
    for (size_t i = 0; i < plan_.outputs.size(); ++i) PVNET_TRY(output(i));
    return {};
  }

 private:
  const Plan& plan_;
  const std::vector<Node>& nodes_;
  const int64_t hyper_, columns_;
  std::vector<Story> stories_;

  Story& story_of(const Edge& e) { return stories_[static_cast<size_t>(e.src)]; }
  const Clock& clock_of(const Edge& e) const { return nodes_[static_cast<size_t>(e.src)].clock; }

  void begin(size_t n) {
    const Node& node = nodes_[n];
    Story& s = stories_[n];
    s.looped = node.op == Op::feedback;
    if (node.op == Op::input) s.latency = 0;
    int64_t from = node.clock.origin;
    for (const Edge& e : node.inputs) {
      if (e.feedback) continue;
      Story& src = story_of(e);
      src.last_reader = static_cast<int64_t>(n);
      s.latency = std::min(s.latency, src.latency + e.delay);
      s.looped = s.looped || src.looped;
      from = std::max(from, src.warm + e.delay);
    }
    const int64_t wait = (from - node.clock.origin) % node.clock.period;
    s.warm = wait == 0 ? from : from + node.clock.period - wait;
  }

  void tell_span(size_t n) {
    const Node& node = nodes_[n];
    Story& s = stories_[n];
    const int64_t firings = hyper_ / node.clock.period;
    const int64_t back = node.op == Op::global_pool
                             ? node.attrs.window - 1
                             : int64_t{node.attrs.kernel[0] - 1} * node.attrs.dilation[0];
    s.young.assign(static_cast<size_t>(firings), kNever);
    s.old.assign(static_cast<size_t>(firings), kNever);
    for (int64_t j = 0; j < firings; ++j) {
      int64_t& young = s.young[static_cast<size_t>(j)];
      int64_t& old = s.old[static_cast<size_t>(j)];
      const int64_t tick = node.clock.origin + j * node.clock.period;
      if (node.op == Op::input) young = old = 0;
      for (const Edge& e : node.inputs) {
        if (e.feedback) continue;
        const Story& src = story_of(e);
        const Clock& c = clock_of(e);
        const int64_t first = firing_before(c, tick - e.delay), last = first - back;
        const auto entry = [&](int64_t firing) {
          const auto round = static_cast<int64_t>(src.old.size());
          return static_cast<size_t>(((firing % round) + round) % round);
        };
        if (src.old[entry(last)] == kNever) continue;
        const int64_t newest = tick - c.origin - first * c.period + src.young[entry(first)];
        young = young == kNever ? newest : std::min(young, newest);
        old = std::max(old, tick - c.origin - last * c.period + src.old[entry(last)]);
      }
    }
  }

  // The newest frame, by column, that firing `firing` of node n contains.
  int64_t frame_of(size_t n, int64_t firing, int64_t column) const {
    const std::vector<int64_t>& table = stories_[n].newest;
    const int64_t rows = static_cast<int64_t>(table.size()) / columns_;
    const int64_t round = hyper_ / nodes_[n].clock.period;
    int64_t rounds = 0;
    if (firing >= rows) rounds = (firing - rows) / round + 1;
    const int64_t frame = table[static_cast<size_t>((firing - rounds * round) * columns_ + column)];
    return frame == kNever ? kNever : frame + rounds * hyper_;
  }

  void tell_newest(size_t n) {
    const Node& node = nodes_[n];
    Story& s = stories_[n];
    const int64_t rows = (s.warm - node.clock.origin + hyper_) / node.clock.period;
    s.newest.assign(static_cast<size_t>(rows * columns_), kNever);
    for (int64_t j = 0; j < rows; ++j) {
      int64_t* const row = &s.newest[static_cast<size_t>(j * columns_)];
      const int64_t tick = node.clock.origin + j * node.clock.period;
      if (node.op == Op::input) row[0] = tick;
      for (const Edge& e : node.inputs) {
        if (e.feedback) continue;
        const int64_t firing = firing_before(clock_of(e), tick - e.delay);
        if (firing < 0) continue;
        for (int64_t c = 0; c < columns_; ++c) {
          row[c] = std::max(row[c], frame_of(static_cast<size_t>(e.src), firing, c));
        }
      }
      row[1 + node.stage] = row[0];
    }
  }

  Status output(size_t i) const {
    const Output& o = plan_.graph.outputs()[i];
    const OutputFacts& facts = plan_.outputs[i];
    const Node& node = nodes_[static_cast<size_t>(o.node)];
    const Story& s = stories_[static_cast<size_t>(o.node)];
    const int64_t delay = plan_.graph.output_delay(o);
    const auto fact = [&](const char* what, int64_t got, int64_t expected) -> Status {
      if (got == expected) return {};
      return wrong(std::string(what) + " of output " + quoted(o.name), std::to_string(got),
                   std::to_string(expected));
    };
    if (facts.name != o.name) return wrong("name of output " + quoted(o.name), facts.name, o.name);
    if (!(facts.shape == node.shape)) {
      return wrong("shape of output " + quoted(o.name), text_of(facts.shape), text_of(node.shape));
    }
    int64_t field = 0;  // unbounded
    for (size_t j = 0; !s.looped && j < s.old.size(); ++j) {
      field = std::max({field, int64_t{1}, s.old[j] - s.young[j] + 1});
    }
    PVNET_TRY(fact("information latency", facts.information_latency_ticks, s.latency + delay));
    PVNET_TRY(fact("warm-up", facts.warm_up_ticks, s.warm + delay));
    PVNET_TRY(fact("receptive field", facts.receptive_field_frames, field));

    const int64_t ticks = plan_.settle_ticks + hyper_;
    PVNET_TRY(fact("ticks of ages", static_cast<int64_t>(facts.age_ticks.size()), ticks));
    for (int64_t t = 0; t < ticks; ++t) {
      const auto& row = facts.age_ticks[static_cast<size_t>(t)];
      PVNET_TRY(fact("stages of ages", static_cast<int64_t>(row.size()), columns_ - 1));
      const int64_t firing = firing_before(node.clock, t - delay);
      for (int64_t c = 0; c + 1 < columns_; ++c) {
        const int64_t frame =
            firing < 0 ? kNever : frame_of(static_cast<size_t>(o.node), firing, c + 1);
        PVNET_TRY(fact("age", row[static_cast<size_t>(c)], frame == kNever ? -1 : t - frame));
      }
    }
    return {};
  }
};

}  // namespace

Status prove_facts(const Plan& plan) { return Facts(plan).run(); }

}  // namespace pvnet::proof
