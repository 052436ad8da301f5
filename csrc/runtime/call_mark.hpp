// SPDX-License-Identifier: Apache-2.0
// One call at a time into a stream: a second thread is refused, not made to wait. A forked process
// learns that its copy was taken in the middle of a call, instead of waiting for its end for ever.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "host/threads.hpp"

#include "graph/status.hpp"

namespace pvnet {

class CallMark {
 public:
  // Held for the length of a call.
  class Turn {
   public:
    explicit Turn(CallMark& mark) : mark_(mark) {
      mine_ = mark.owner_.compare_exchange_strong(found_, now(), std::memory_order_acquire);
    }
    ~Turn() {
      if (mine_) mark_.owner_.store(0, std::memory_order_release);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    Status status(const char* where) const {
      if (mine_) return {};
      const std::string at = std::string("[") + where + "] ";
      if (found_ != now()) {
        return {Code::state, at + "this process was forked while a call was inside the stream: got "
                                  "half a tick, expected a fork between two calls. Make a new "
                                  "stream of the plan in this process."};
      }
      return {Code::state, at + "the stream is in use: got a call from a second thread, expected "
                                "one call at a time. Give every thread a stream of its own."};
    }

   private:
    static uint64_t now() { return uint64_t{fork_generation()} + 1; }

    CallMark& mark_;
    uint64_t found_ = 0;  // what the exchange expects, then what it found
    bool mine_ = false;
  };

 private:
  std::atomic<uint64_t> owner_{0};  // 0: nobody; else 1 + the fork generation of who is inside
};

}  // namespace pvnet
