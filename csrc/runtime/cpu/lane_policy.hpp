// SPDX-License-Identifier: Apache-2.0
// Whether the lanes share the next tick or the caller makes it alone. Lanes that share a tick wait
// for each other at every barrier, and where other programs keep the CPUs busy the others are late.
// A tick shared by two can then take several times as long as on one. The result is the same.
#pragma once

#include <cstdint>

namespace pvnet {

// Ticks are judged in windows: shared ones in which the caller mostly waits raise a suspicion, a
// window made alone confirms it or not. Alone, a shared window is tried now and then, at growing
// distances, and at once where ticks become shorter. One thread; reads no clock itself.
class LanePolicy {
 public:
  // fixed: always share.
  LanePolicy(int lanes, int64_t hyper_period_ticks, bool fixed);

  bool alone() const { return mode_ == Mode::alone || mode_ == Mode::try_alone; }
  // The tick that alone() decided has taken so long, of which the caller waited at barriers.
  void record(int64_t total_ns, int64_t waited_ns);

 private:
  enum class Mode { shared, try_alone, alone, try_shared };

  void enter(Mode mode);
  void end_window();
  void end_trial(bool better);

  const bool fixed_;
  const bool even_;                // every tick has the same work
  const int64_t ticks_in_window_;  // at least; whole hyper-periods, for ticks may be uneven
  Mode mode_ = Mode::shared;
  int64_t ticks_ = 0, total_ns_ = 0, waited_ns_ = 0;  // of the current window
  double rival_ns_ = 0;    // mean tick of the other way, while one is tried
  double alone_ns_ = 0;    // mean tick made alone, when that was chosen
  int64_t patience_ = 0;   // windows until the next trial
  int64_t next_patience_;  // after a trial that failed
};

}  // namespace pvnet
