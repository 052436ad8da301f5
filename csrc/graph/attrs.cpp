// SPDX-License-Identifier: Apache-2.0
#include "graph/attrs.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "graph/errors.hpp"

namespace pvnet {

namespace {

using json::Value;
using Kind = Value::Kind;

struct Context {
  std::string_view where, node, key;

  Status bad(const Value& v, std::string_view expected, std::string_view cure) const {
    std::string got = v.dump();
    if (got.size() > 80) got = got.substr(0, 80) + "...";
    return failed(Code::invalid_argument, where,
                  "node " + quoted(node) + " has a wrong " + std::string(key), got, expected, cure);
  }
};

std::string range_text(int lo, int hi) {
  return "an integer from " + std::to_string(lo) + " to " + std::to_string(hi);
}

bool in_range(const Value& v, int lo, int hi) {
  return v.is_integer() && v.as_number() >= lo && v.as_number() <= hi;
}

Status read(const Context& at, const Value& v, int lo, int hi, int& out) {
  if (!in_range(v, lo, hi)) {
    return at.bad(v, range_text(lo, hi), "Change " + std::string(at.key) + ".");
  }
  out = static_cast<int>(v.as_integer());
  return {};
}

Status read(const Context& at, const Value& v, int lo, int hi, std::span<int> out) {
  bool ok = v.is(Kind::array) && v.items().size() == out.size();
  for (size_t i = 0; ok && i < out.size(); ++i) ok = in_range(v.items()[i], lo, hi);
  if (!ok) {
    const bool three = out.size() == 3;
    return at.bad(
        v, std::to_string(out.size()) + " numbers, each " + range_text(lo, hi),
        "Give " + std::string(at.key) + (three ? "=(time, height, width)." : "=(height, width)."));
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int>(v.items()[i].as_integer());
  return {};
}

Status read(const Context& at, const Value& v, bool& out) {
  if (!v.is(Kind::boolean)) return at.bad(v, "true or false", "Give a bool.");
  out = v.as_bool();
  return {};
}

Status read(const Context& at, const Value& v, std::vector<float>& out) {
  bool ok = v.is(Kind::array) && v.items().size() <= size_t{kMaxChannels};
  for (size_t i = 0; ok && i < v.items().size(); ++i) {
    const Value& x = v.items()[i];
    ok = x.is(Kind::number) && std::abs(x.as_number()) <= std::numeric_limits<float>::max();
  }
  if (!ok) return at.bad(v, "a list of finite numbers", "Give one number per channel.");
  out.clear();
  for (const Value& x : v.items()) out.push_back(static_cast<float>(x.as_number()));
  return {};
}

template <class E>
Status read_word(const Context& at, const Value& v, Result<E> (*from)(std::string_view), E& out) {
  if (!v.is(Kind::string)) return at.bad(v, "a word", "Give it as a string.");
  const Result<E> r = from(v.as_string());
  if (!r.ok()) {
    const std::string& m = r.status().message();  // reuse its list of words
    const size_t list = m.find("expected ") + 9;
    return at.bad(v, m.substr(list, m.find(". ", list) - list), "Use one of these words.");
  }
  out = r.value();
  return {};
}

Status read_eps(const Context& at, const Value& v, double& out) {
  if (!v.is(Kind::number) || v.as_number() < 0 || v.as_number() > 1) {
    return at.bad(v, "a number from 0 to 1", "Give the eps of the batch norm, e.g. 1e-5.");
  }
  out = v.as_number();
  return {};
}

Value array_of(std::span<const int> xs) {
  Value v = Value::array();
  for (const int x : xs) v.push(Value::integer(x));
  return v;
}
Value array_of(const std::vector<float>& xs) {
  Value v = Value::array();
  for (const float x : xs) v.push(Value::number(static_cast<double>(x)));
  return v;
}

// A bound of a clamp; null is none.
Status read_bound(const Context& at, const Value& v, double none, double& out) {
  out = none;
  if (v.is(Kind::null)) return {};
  if (!v.is(Kind::number) || std::abs(v.as_number()) > std::numeric_limits<float>::max()) {
    return at.bad(v, "a finite number, or null for no bound",
                  "Change " + std::string(at.key) + ".");
  }
  out = v.as_number();
  return {};
}
Value bound_of(double x) { return std::isinf(x) ? Value() : Value::number(x); }

// One row per attribute; the order is the order in files.
struct Key {
  const char* name;
  Status (*read)(const Context&, const Value&, Attrs&);
  Value (*write)(const Attrs&);
  bool (*of_act)(Act) = nullptr;  // null: whatever the activation
};

#define PVNET_INT_KEY(FIELD, LO, HI)                                                            \
  Key {                                                                                         \
    #FIELD,                                                                                     \
        [](const Context& c, const Value& v, Attrs& a) { return read(c, v, LO, HI, a.FIELD); }, \
        [](const Attrs& a) { return Value::integer(a.FIELD); }                                  \
  }
#define PVNET_INTS_KEY(FIELD, LO, HI)                                          \
  Key {                                                                        \
    #FIELD,                                                                    \
        [](const Context& c, const Value& v, Attrs& a) {                       \
          return read(c, v, LO, HI, std::span<int>(a.FIELD));                  \
        },                                                                     \
        [](const Attrs& a) { return array_of(std::span<const int>(a.FIELD)); } \
  }
#define PVNET_BOOL_KEY(FIELD)                                                               \
  Key {                                                                                     \
    #FIELD, [](const Context& c, const Value& v, Attrs& a) { return read(c, v, a.FIELD); }, \
        [](const Attrs& a) { return Value::boolean(a.FIELD); }                              \
  }
#define PVNET_WORD_KEY(FIELD, FROM)                                                                \
  Key {                                                                                            \
    #FIELD,                                                                                        \
        [](const Context& c, const Value& v, Attrs& a) { return read_word(c, v, FROM, a.FIELD); }, \
        [](const Attrs& a) { return Value::string(to_string(a.FIELD)); }                           \
  }
#define PVNET_FLOATS_KEY(FIELD)                                                             \
  Key {                                                                                     \
    #FIELD, [](const Context& c, const Value& v, Attrs& a) { return read(c, v, a.FIELD); }, \
        [](const Attrs& a) { return array_of(a.FIELD); }                                    \
  }

constexpr Key kChannels = PVNET_INT_KEY(channels, 1, kMaxChannels);
constexpr Key kHeight = PVNET_INT_KEY(height, 1, kMaxSide);
constexpr Key kWidth = PVNET_INT_KEY(width, 1, kMaxSide);
constexpr Key kOut = PVNET_INT_KEY(out, 1, kMaxChannels);
constexpr Key kKernel = PVNET_INTS_KEY(kernel, 1, kMaxKernel);
constexpr Key kStride = PVNET_INTS_KEY(stride, 1, kMaxStride);
constexpr Key kDilation = PVNET_INTS_KEY(dilation, 1, kMaxDilation);
constexpr Key kPadding = PVNET_INTS_KEY(padding, 0, kMaxSide);
constexpr Key kPaddingEnd = PVNET_INTS_KEY(padding_end, 0, kMaxSide);
constexpr Key kGroups = PVNET_INT_KEY(groups, 1, kMaxChannels);
constexpr Key kBias = PVNET_BOOL_KEY(bias);
constexpr Key kNorm = PVNET_BOOL_KEY(norm);
constexpr Key kAct = PVNET_WORD_KEY(act, act_from_string);
constexpr Key kCountPad = PVNET_BOOL_KEY(count_include_pad);
constexpr Key kWindow = PVNET_INT_KEY(window, 1, kMaxWindow);
constexpr Key kSize = PVNET_INTS_KEY(size, 1, kMaxSide);
constexpr Key kMode = PVNET_WORD_KEY(mode, interp_from_string);
constexpr Key kTicks = PVNET_INT_KEY(ticks, 0, kMaxTicks);
constexpr Key kPhase = PVNET_INT_KEY(phase, 0, static_cast<int>(kMaxHyperPeriod));
constexpr Key kMean = PVNET_FLOATS_KEY(mean);
constexpr Key kStd = PVNET_FLOATS_KEY(std);
constexpr Key kNormEps = {
    "norm_eps",
    [](const Context& c, const Value& v, Attrs& a) { return read_eps(c, v, a.norm_eps); },
    [](const Attrs& a) { return Value::number(a.norm_eps); }};

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr Key kActLow = {"act_low",
                         [](const Context& c, const Value& v, Attrs& a) {
                           return read_bound(c, v, -kInfinite, a.act_low);
                         },
                         [](const Attrs& a) { return bound_of(a.act_low); },
                         [](Act act) { return act == Act::clamp; }};
constexpr Key kActHigh = {"act_high",
                          [](const Context& c, const Value& v, Attrs& a) {
                            return read_bound(c, v, kInfinite, a.act_high);
                          },
                          [](const Attrs& a) { return bound_of(a.act_high); }, kActLow.of_act};

// The keys of an op that may end with an activation.
template <size_t N>
constexpr std::array<Key, N + 4> with_act(const std::array<Key, N>& keys) {
  std::array<Key, N + 4> all{};
  for (size_t i = 0; i < N; ++i) all[i] = keys[i];
  all[N] = kAct, all[N + 1] = kActLow, all[N + 2] = kActHigh, all[N + 3] = kPhase;
  return all;
}

#undef PVNET_INT_KEY
#undef PVNET_INTS_KEY
#undef PVNET_BOOL_KEY
#undef PVNET_WORD_KEY
#undef PVNET_FLOATS_KEY

// A delay, concat or feedback node does no work, so there is nothing to level with a phase.
constexpr std::array kInputKeys{kChannels, kHeight, kWidth, kMean, kStd};
constexpr std::array kConvKeys = with_act(std::array{kOut, kKernel, kStride, kPadding, kPaddingEnd,
                                                     kDilation, kGroups, kBias, kNorm, kNormEps});
constexpr std::array kMaxPoolKeys{kKernel, kStride, kPadding, kPaddingEnd, kPhase};
constexpr std::array kAvgPoolKeys{kKernel, kStride, kPadding, kPaddingEnd, kCountPad, kPhase};
constexpr std::array kGlobalPoolKeys{kWindow, kPhase};
constexpr std::array kAddKeys = with_act(std::array<Key, 0>{});
constexpr std::array kUpsampleKeys{kSize, kMode, kPhase};
constexpr std::array kLinearKeys = with_act(std::array{kOut, kBias});
constexpr std::array kNormalizeKeys{kMean, kStd, kPhase};
constexpr std::array kDelayKeys{kTicks};
constexpr std::array kFeedbackKeys{kTicks, kChannels, kHeight, kWidth};

std::span<const Key> keys_of(Op op) {
  switch (op) {
    case Op::input:
      return kInputKeys;
    case Op::conv3d:
      return kConvKeys;
    case Op::max_pool:
      return kMaxPoolKeys;
    case Op::avg_pool:
      return kAvgPoolKeys;
    case Op::global_pool:
      return kGlobalPoolKeys;
    case Op::concat:
      return {};
    case Op::add:
    case Op::mul:
    case Op::act:
      return kAddKeys;
    case Op::upsample:
      return kUpsampleKeys;
    case Op::linear:
      return kLinearKeys;
    case Op::normalize:
      return kNormalizeKeys;
    case Op::delay:
      return kDelayKeys;
    case Op::feedback:
      return kFeedbackKeys;
  }
  return {};
}

// What depends on several attributes.
Status settle(const Context& at, const Value& given, std::span<const Key> keys, Attrs& attrs) {
  if (given.find("padding_end") == nullptr) attrs.padding_end = attrs.padding;
  for (const Key& key : keys) {
    const Value* value = given.find(key.name);
    if (value == nullptr || key.of_act == nullptr || key.of_act(attrs.act)) continue;
    return Context{at.where, at.node, key.name}.bad(
        *value, "none with act " + quoted(to_string(attrs.act)), "Remove it or change act.");
  }
  if (attrs.act_low <= attrs.act_high) return {};
  const Value low = bound_of(attrs.act_low);
  return Context{at.where, at.node, "act_low"}.bad(
      low, "at most act_high, " + bound_of(attrs.act_high).dump(), "Exchange or change them.");
}

}  // namespace

Status read_attrs(Op op, const Value* given, std::string_view where, std::string_view node,
                  Attrs& attrs) {
  attrs = Attrs{};
  if (op == Op::feedback) attrs.ticks = 1;
  if (given == nullptr) return {};
  if (!given->is(Kind::object)) {
    return Context{where, node, "attrs"}.bad(*given, "an object",
                                             "Write attrs as {\"key\": value}.");
  }
  const std::span<const Key> keys = keys_of(op);
  for (const auto& [name, value] : given->members()) {
    const Key* found = nullptr;
    std::string known;
    for (const Key& key : keys) {
      if (name == key.name) found = &key;
      known += (known.empty() ? "" : ", ") + std::string(key.name);
    }
    if (found == nullptr) {
      return failed(Code::invalid_argument, where,
                    "node " + quoted(node) + " has an unknown attribute", quoted(name),
                    known.empty() ? "no attributes" : "one of " + known,
                    "Remove it or correct its spelling.");
    }
    PVNET_TRY(found->read(Context{where, node, found->name}, value, attrs));
  }
  return settle(Context{where, node, ""}, *given, keys, attrs);
}

Value write_attrs(Op op, const Attrs& attrs, bool all) {
  Attrs usual;
  usual.padding_end = attrs.padding;
  Value v = Value::object();
  for (const Key& key : keys_of(op)) {
    if (key.of_act != nullptr && !key.of_act(attrs.act)) continue;
    Value x = key.write(attrs);
    if (all || x.dump() != key.write(usual).dump()) v.set(key.name, std::move(x));
  }
  return v;
}

}  // namespace pvnet
