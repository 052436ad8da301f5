// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/lane_policy.hpp"

#include <algorithm>

namespace pvnet {
namespace {

constexpr int64_t kTicks = 8;
// Longer than a time slice that the system gives another program.
constexpr int64_t kWindowNs = 10'000'000;
// Lanes that wait less than this share of their time keep up with each other; so do those that take
// less than this share of their chunks from others, for so many windows in a row.
constexpr double kUneven = 0.12, kTakenOver = 0.1;
constexpr int64_t kCalm = 32;
// A caller that waits less than this share of a tick has lanes that are worth their CPUs.
constexpr double kSuspicious = 0.4;
// What is tried must be this much faster: changing to and fro costs more than a tie.
constexpr double kBetter = 0.95;
struct Windows {  // between trials
  int64_t shortest, longest;
};
constexpr Windows kWhileShared = {16, 128}, kWhileAlone = {2, 32};
// A trial is lost when it is so many ticks behind, where all ticks are alike.
constexpr int64_t kBehind = 2;
// Ticks made alone that become so much shorter tell that other programs have gone.
constexpr double kRelief = 0.75;

}  // namespace

LanePolicy::LanePolicy(int lanes, int64_t hyper_period_ticks, bool fixed)
    : lanes_(lanes),
      fixed_(fixed || lanes == 1),
      even_(hyper_period_ticks == 1),
      ticks_in_window_((kTicks + hyper_period_ticks - 1) / hyper_period_ticks * hyper_period_ticks),
      next_patience_(kWhileShared.shortest) {}

void LanePolicy::enter(Mode mode) {
  mode_ = mode;
  ticks_ = 0;
  sum_ = {};
}

void LanePolicy::record(const TickFacts& tick) {
  if (fixed_) return;
  ++ticks_;
  sum_.total_ns += tick.total_ns;
  sum_.caller_waited_ns += tick.caller_waited_ns;
  sum_.all_waited_ns += tick.all_waited_ns;
  sum_.chunks += tick.chunks;
  sum_.taken_over += tick.taken_over;
  const bool trial = mode_ == Mode::try_alone || mode_ == Mode::try_shared;
  const double limit = rival_ns_ * kBetter * static_cast<double>(ticks_in_window_);
  const bool behind = even_ && static_cast<double>(sum_.total_ns) >
                                   rival_ns_ * static_cast<double>(ticks_ + kBehind);
  if (trial && (behind || static_cast<double>(sum_.total_ns) > limit)) {
    end_trial(false);  // whatever the rest of the window would take
  } else if (trial && ticks_ >= ticks_in_window_) {
    end_trial(true);
  } else if (ticks_ >= ticks_in_window_ && sum_.total_ns >= kWindowNs &&
             ticks_ % ticks_in_window_ == 0) {
    end_window();
  }
}

void LanePolicy::end_trial(bool better) {
  const bool stay_alone = better == (mode_ == Mode::try_alone);
  const Windows windows = stay_alone ? kWhileAlone : kWhileShared;
  next_patience_ = better ? windows.shortest : std::min(2 * next_patience_, windows.longest);
  patience_ = better && !stay_alone ? 0 : next_patience_;
  // Of ticks made alone: those of this trial, or those that it was compared with.
  if (stay_alone)
    alone_ns_ =
        better ? static_cast<double>(sum_.total_ns) / static_cast<double>(ticks_) : rival_ns_;
  enter(stay_alone ? Mode::alone : Mode::shared);
}

void LanePolicy::end_window() {
  patience_ = std::max<int64_t>(0, patience_ - 1);
  const auto total_ns = static_cast<double>(sum_.total_ns);
  const bool waits = static_cast<double>(sum_.caller_waited_ns) > kSuspicious * total_ns;
  const bool doubt = mode_ == Mode::alone || waits;
  rival_ns_ = total_ns / static_cast<double>(ticks_);
  if (mode_ == Mode::alone && rival_ns_ < kRelief * alone_ns_) patience_ = 0;
  if (mode_ == Mode::shared) judge_lanes();
  const bool trial = doubt && patience_ == 0;
  if (!trial) return enter(mode_);
  enter(mode_ == Mode::alone ? Mode::try_shared : Mode::try_alone);
}

// Flexible lanes before none.
void LanePolicy::judge_lanes() {
  const double lane_ns = static_cast<double>(sum_.total_ns) * lanes_;
  if (!flexible_) {
    flexible_ = static_cast<double>(sum_.all_waited_ns) > kUneven * lane_ns;
    calm_ = 0;
    if (flexible_) patience_ = std::max<int64_t>(patience_, 1);
    return;
  }
  const bool calm = static_cast<double>(sum_.taken_over) <=
                    kTakenOver * static_cast<double>(std::max<int64_t>(sum_.chunks, 1));
  calm_ = calm ? calm_ + 1 : 0;
  flexible_ = calm_ < kCalm;
}

}  // namespace pvnet
