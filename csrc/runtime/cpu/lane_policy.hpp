// SPDX-License-Identifier: Apache-2.0
// How the next tick is made. Lanes that share a tick wait for each other at every barrier, and
// where other threads use the CPUs some are late. So they may take chunks from each other, or the
// caller makes the tick alone. The result is the same.
#pragma once

#include <cstdint>

namespace pvnet {

enum class TickWay : uint8_t {
  shared,    // every lane its own lists, with barriers: quickest while all lanes keep up
  flexible,  // lanes take chunks from each other: a lane that is late holds up little
  alone      // the caller makes all of it: quickest where the others hardly get a CPU
};

// What a tick took, and how the lanes got on with each other.
struct TickFacts {
  int64_t total_ns = 0;
  int64_t caller_waited_ns = 0, all_waited_ns = 0;  // for other lanes; the sum of all lanes
  int64_t chunks = 0, taken_over = 0;               // of a flexible tick; from others' lists
};

// Ticks are judged in windows. Lanes that wait take chunks from each other, until there was little
// to take for a while. Where the caller mostly waits all the same, a window made alone tells
// whether that is quicker. Alone, a window of all lanes is tried now and then, at growing
// distances, and at once where ticks become shorter. One thread; reads no clock itself.
class LanePolicy {
 public:
  // fixed: always TickWay::shared.
  LanePolicy(int lanes, int64_t hyper_period_ticks, bool fixed);

  TickWay way() const {
    if (mode_ == Mode::alone || mode_ == Mode::try_alone) return TickWay::alone;
    return flexible_ ? TickWay::flexible : TickWay::shared;
  }
  // Of the tick made in that way.
  void record(const TickFacts& tick);

 private:
  enum class Mode { shared, try_alone, alone, try_shared };

  void enter(Mode mode);
  void end_window();
  void judge_lanes();
  void end_trial(bool better);

  const int lanes_;
  const bool fixed_;
  const bool even_;                // every tick has the same work
  const int64_t ticks_in_window_;  // at least; whole hyper-periods, for ticks may be uneven
  Mode mode_ = Mode::shared;
  int64_t ticks_ = 0;  // of the current window
  TickFacts sum_;      // likewise
  bool flexible_ = false;
  int64_t calm_ = 0;       // windows in a row in which lanes had little to take from each other
  double rival_ns_ = 0;    // mean tick of the other way, while one is tried
  double alone_ns_ = 0;    // mean tick made alone, when that was chosen
  int64_t patience_ = 0;   // windows until the next trial
  int64_t next_patience_;  // after a trial that failed
};

}  // namespace pvnet
