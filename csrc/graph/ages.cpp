// SPDX-License-Identifier: Apache-2.0
// A path from a frame to a firing adds a fixed age once it exists, and from then on it exists at
// every firing of the same residue (modulo the firings of a hyper-period). So the age along the
// newest path is a staircase: a few numbers say it for all ticks, where a table would take nodes *
// ticks * stages.
#include "graph/ages.hpp"

#include <algorithm>
#include <limits>

#include "graph/errors.hpp"
#include "graph/firing.hpp"
#include "graph/limits.hpp"
#include "graph/size.hpp"

namespace pvnet {

namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

struct Step {  // from this repetition of the local hyper-period on, the age at a firing is `age`
  int64_t from = 0;
  int64_t age = 0;
};

// Of one node: staircases for every residue of its firings and every column. Column 0 counts all
// paths, column 1 + s those through a node of stage s; stages behind the node's own have none.
struct History {
  int64_t residues = 0;
  int64_t columns = 0;
  std::vector<size_t> begin;  // [residues * columns + 1]
  std::vector<Step> steps;    // ages falling

  const Step* first(int64_t residue, int64_t column) const {
    return steps.data() + begin[at(residue * columns + column)];
  }
  const Step* last(int64_t residue, int64_t column) const {
    return steps.data() + begin[at(residue * columns + column) + 1];
  }
};

class Ages {
 public:
  Ages(const Graph& graph, const std::vector<int64_t>& local)
      : graph_(graph), nodes_(graph.nodes()), local_(local), histories_(nodes_.size()) {}

  Result<std::vector<AgeTable>> run(int64_t ticks) {
    const auto outputs = static_cast<int64_t>(graph_.outputs().size());
    const Size entries = Size(ticks) * (graph_.n_stages() + kAgeRowEntries) * outputs;
    if (!entries.at_most(kMaxAgeEntries)) {
      return too_large_to_analyse("ages of the outputs", entries.text(), kMaxAgeEntries);
    }
    std::vector<AgeTable> tables(graph_.outputs().size());
    std::vector<std::vector<size_t>> outputs_of(nodes_.size());
    for (size_t o = 0; o < tables.size(); ++o) {
      outputs_of[at(graph_.outputs()[o].node)].push_back(o);
    }
    const std::vector<int> last_reader = last_readers(nodes_);
    std::vector<std::vector<size_t>> dies_at(nodes_.size());
    for (size_t n = 0; n < nodes_.size(); ++n) {
      if (last_reader[n] >= 0 || !outputs_of[n].empty()) PVNET_TRY(fill(n));
      for (const size_t o : outputs_of[n]) tables[o] = table(graph_.outputs()[o], ticks);
      dies_at[last_reader[n] < 0 ? n : at(last_reader[n])].push_back(n);
      for (const size_t dead : dies_at[n]) histories_[dead] = {};
    }
    return tables;
  }

 private:
  const Graph& graph_;
  const std::vector<Node>& nodes_;
  const std::vector<int64_t>& local_;
  std::vector<History> histories_;
  int64_t work_ = 0;

  // How the firings of one residue of a node meet those of a source: in repetition q it reads
  // repetition first + q * rate of `residue`, whose tick lies `behind` ticks before its own.
  struct Meeting {
    const History* source = nullptr;
    int64_t residue = 0, first = 0, rate = 1, behind = 0;
  };

  Meeting meet(size_t n, int64_t residue, const Edge& e) const {
    const Clock& own = nodes_[n].clock;
    const Clock& c = nodes_[at(e.src)].clock;
    Meeting m;
    m.source = &histories_[at(e.src)];
    const int64_t tick = own.origin + residue * own.period;
    const int64_t firing = firing_at(c, tick, e.delay);
    m.first = floor_div(firing, m.source->residues);
    m.residue = firing - m.first * m.source->residues;
    m.rate = local_[n] / local_[at(e.src)];
    m.behind = tick - (c.origin + firing * c.period);
    return m;
  }

  Status fill(size_t n) {
    const Node& node = nodes_[n];
    History& h = histories_[n];
    h.residues = local_[n] / node.clock.period;
    h.columns = 2 + node.stage;
    h.begin.reserve(at(h.residues * h.columns + 1));
    std::vector<Meeting> meetings;
    std::vector<Step> found;
    for (int64_t residue = 0; residue < h.residues; ++residue) {
      meetings.clear();
      for (const Edge& e : node.inputs) {
        if (!e.feedback) meetings.push_back(meet(n, residue, e));
      }
      for (int64_t column = 0; column < h.columns; ++column) {
        h.begin.push_back(h.steps.size());
        // Every path passes through the node itself.
        const int64_t read = column == 1 + node.stage ? 0 : column;
        found.clear();
        if (node.op == Op::input && read == 0) found.push_back({0, 0});
        for (const Meeting& m : meetings) collect(m, read, found);
        work_ += 1 + static_cast<int64_t>(meetings.size() + found.size());
        append_stairs(found, h.steps);
      }
      if (work_ > kMaxAnalysisSteps) {
        return too_large_to_analyse("paths through the stages",
                                    "more than " + std::to_string(work_), kMaxAnalysisSteps);
      }
    }
    h.begin.push_back(h.steps.size());
    return {};
  }

  static void collect(const Meeting& m, int64_t column, std::vector<Step>& found) {
    if (column >= m.source->columns) return;
    const Step* const end = m.source->last(m.residue, column);
    for (const Step* s = m.source->first(m.residue, column); s != end; ++s) {
      const int64_t from = -floor_div(m.first - s->from, m.rate);  // rounded up
      found.push_back({std::max<int64_t>(0, from), m.behind + s->age});
    }
  }

  // Of several staircases the lowest at every repetition.
  static void append_stairs(std::vector<Step>& found, std::vector<Step>& stairs) {
    if (found.size() > 1) {
      std::sort(found.begin(), found.end(), [](const Step& a, const Step& b) {
        return a.from != b.from ? a.from < b.from : a.age < b.age;
      });
    }
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const Step& s : found) {
      if (s.age >= least) continue;
      stairs.push_back(s);
      least = s.age;
    }
  }

  AgeTable table(const Output& output, int64_t ticks) const {
    const size_t n = at(output.node);
    const Clock& clock = nodes_[n].clock;
    const History& h = histories_[n];
    const int64_t delay = graph_.output_delay(output);
    AgeTable table;
    table.reserve(at(ticks));
    for (int64_t t = 0; t < ticks; ++t) {
      auto& row = table.emplace_back(at(graph_.n_stages()), int64_t{-1});
      const int64_t firing = firing_at(clock, t, delay);
      if (firing < 0) continue;
      const int64_t waited = t - (clock.origin + firing * clock.period);
      const int64_t residue = firing % h.residues, repetition = firing / h.residues;
      for (int64_t column = 1; column < h.columns; ++column) {
        const Step* const begin = h.first(residue, column);
        const Step* s = h.last(residue, column);
        while (s != begin && (s - 1)->from > repetition) --s;
        if (s != begin) row[at(column - 1)] = waited + (s - 1)->age;
      }
    }
    return table;
  }
};

}  // namespace

Result<std::vector<AgeTable>> age_tables(const Graph& graph, const std::vector<int64_t>& local,
                                         int64_t ticks) {
  return Ages(graph, local).run(ticks);
}

std::vector<int> last_readers(const std::vector<Node>& nodes) {
  std::vector<int> last(nodes.size(), -1);
  for (size_t n = 0; n < nodes.size(); ++n) {
    for (const Edge& e : nodes[n].inputs) {
      if (!e.feedback) last[at(e.src)] = static_cast<int>(n);
    }
  }
  return last;
}

Status too_large_to_analyse(const char* what, const std::string& got, int64_t limit) {
  return failed(Code::graph, "Graph", std::string("the ") + what + " are too large to analyse",
                got + " entries", "at most " + std::to_string(limit),
                "Use shorter delays, smaller temporal strides, fewer stages or fewer outputs.");
}

}  // namespace pvnet
