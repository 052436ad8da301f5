// SPDX-License-Identifier: Apache-2.0
// The words of graph files for every enumeration.
#include <array>
#include <span>

#include "graph/errors.hpp"

namespace pvnet {

namespace {

constexpr std::array kOps{"input",  "conv3d",    "max_pool", "avg_pool", "global_pool",
                          "concat", "add",       "mul",      "act",      "upsample",
                          "linear", "normalize", "delay",    "feedback"};
constexpr std::array kActs{"none", "relu", "silu", "sigmoid", "softmax", "clamp"};
constexpr std::array kModes{"nearest", "bilinear"};
constexpr std::array kWirings{"sequential", "pipelined", "predictive"};

static_assert(kOps.size() == static_cast<size_t>(Op::feedback) + 1);
static_assert(kActs.size() == static_cast<size_t>(Act::clamp) + 1);
static_assert(kModes.size() == static_cast<size_t>(Interp::bilinear) + 1);
static_assert(kWirings.size() == static_cast<size_t>(Wiring::predictive) + 1);

template <class E>
Result<E> from_words(std::span<const char* const> words, std::string_view s,
                     std::string_view what) {
  std::string all;
  for (size_t i = 0; i < words.size(); ++i) {
    if (s == words[i]) return static_cast<E>(i);
    all += (i == 0 ? "" : ", ") + std::string(words[i]);
  }
  return failed(Code::invalid_argument, "Graph", "unknown " + std::string(what), quoted(s),
                "one of " + all, "Use one of these words.");
}

template <class E>
const char* word(std::span<const char* const> words, E e) {
  return words[static_cast<size_t>(e)];
}

}  // namespace

const char* to_string(Op op) { return word(kOps, op); }
const char* to_string(Act act) { return word(kActs, act); }
const char* to_string(Interp mode) { return word(kModes, mode); }
const char* to_string(Wiring wiring) { return word(kWirings, wiring); }
Result<Op> op_from_string(std::string_view s) { return from_words<Op>(kOps, s, "op"); }
Result<Act> act_from_string(std::string_view s) { return from_words<Act>(kActs, s, "act"); }
Result<Interp> interp_from_string(std::string_view s) {
  return from_words<Interp>(kModes, s, "mode");
}
Result<Wiring> wiring_from_string(std::string_view s) {
  return from_words<Wiring>(kWirings, s, "wiring");
}

}  // namespace pvnet
