// SPDX-License-Identifier: Apache-2.0
// JSON values and their text; json_parse.cpp reads them.
#include "graph/json.hpp"

#include <charconv>
#include <cmath>

namespace pvnet::json {

namespace {

constexpr double kMaxExact = 9007199254740992.0;  // 2^53

void append_quoted(std::string& out, std::string_view s) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char ch : s) {
    const auto u = static_cast<unsigned char>(ch);
    if (ch == '"' || ch == '\\') {
      out.push_back('\\');
      out.push_back(ch);
    } else if (ch == '\n') {
      out.append("\\n");
    } else if (u < 0x20) {
      out.append("\\u00");
      out.push_back(kHex[u >> 4]);
      out.push_back(kHex[u & 15]);
    } else {
      out.push_back(ch);
    }
  }
  out.push_back('"');
}

void append_number(std::string& out, const Value& v) {
  char buffer[32];
  if (!std::isfinite(v.as_number())) {
    out.append("null");  // JSON has no NaN or infinity
    return;
  }
  const auto r = v.is_integer() ? std::to_chars(buffer, buffer + sizeof buffer, v.as_integer())
                                : std::to_chars(buffer, buffer + sizeof buffer, v.as_number());
  out.append(buffer, r.ptr);
}

void append_value(std::string& out, const Value& v) {
  bool first = true;
  switch (v.kind()) {
    case Value::Kind::null:
      out.append("null");
      break;
    case Value::Kind::boolean:
      out.append(v.as_bool() ? "true" : "false");
      break;
    case Value::Kind::number:
      append_number(out, v);
      break;
    case Value::Kind::string:
      append_quoted(out, v.as_string());
      break;
    case Value::Kind::array:
      out.push_back('[');
      for (const Value& item : v.items()) {
        if (!first) out.push_back(',');
        first = false;
        append_value(out, item);
      }
      out.push_back(']');
      break;
    case Value::Kind::object:
      out.push_back('{');
      for (const auto& [key, member] : v.members()) {
        if (!first) out.push_back(',');
        first = false;
        append_quoted(out, key);
        out.push_back(':');
        append_value(out, member);
      }
      out.push_back('}');
      break;
  }
}

}  // namespace

Value Value::boolean(bool b) {
  Value v;
  v.kind_ = Kind::boolean;
  v.bool_ = b;
  return v;
}
Value Value::number(double d) {
  Value v;
  v.kind_ = Kind::number;
  v.number_ = d;
  return v;
}
Value Value::integer(int64_t i) { return number(static_cast<double>(i)); }
Value Value::string(std::string_view s) {
  Value v;
  v.kind_ = Kind::string;
  v.string_ = std::string(s);
  return v;
}
Value Value::array() {
  Value v;
  v.kind_ = Kind::array;
  return v;
}
Value Value::object() {
  Value v;
  v.kind_ = Kind::object;
  return v;
}

bool Value::is_integer() const {
  return kind_ == Kind::number && std::abs(number_) <= kMaxExact && number_ == std::floor(number_);
}

const Value* Value::find(std::string_view key) const {
  for (const auto& member : members_) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

void Value::set(std::string_view key, Value v) {
  members_.emplace_back(std::string(key), std::move(v));
}

std::string Value::dump() const {
  std::string out;
  append_value(out, *this);
  return out;
}

}  // namespace pvnet::json
