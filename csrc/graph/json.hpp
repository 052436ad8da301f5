// SPDX-License-Identifier: Apache-2.0
// A small JSON reader and writer for graphs and model files. Reads hostile text: depth and size are
// limited, every failure is a Status with the byte offset; duplicate keys, NaN and trailing text
// are refused. Objects keep their order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/status.hpp"

namespace pvnet::json {

class Value {
 public:
  enum class Kind : uint8_t { null, boolean, number, string, array, object };

  Value() = default;
  static Value boolean(bool b);
  static Value number(double d);
  static Value integer(int64_t i);  // written without a fraction, exact to 2^53
  static Value string(std::string_view s);
  static Value array();
  static Value object();

  Kind kind() const { return kind_; }
  bool is(Kind k) const { return kind_ == k; }
  bool as_bool() const { return bool_; }
  double as_number() const { return number_; }
  bool is_integer() const;  // a number without fraction within +-2^53
  int64_t as_integer() const { return static_cast<int64_t>(number_); }
  const std::string& as_string() const { return string_; }
  const std::vector<Value>& items() const { return items_; }
  const std::vector<std::pair<std::string, Value>>& members() const { return members_; }
  const Value* find(std::string_view key) const;  // nullptr when absent or not an object

  void push(Value v) { items_.push_back(std::move(v)); }
  void set(std::string_view key, Value v);  // appends; the caller keeps keys unique
  std::string dump() const;                 // compact, UTF-8, keys in order

 private:
  Kind kind_ = Kind::null;
  bool bool_ = false;
  double number_ = 0;
  std::string string_;
  std::vector<Value> items_;
  std::vector<std::pair<std::string, Value>> members_;
};

// where: names the document in error messages, e.g. "Graph.from_json".
Result<Value> parse(std::string_view text, std::string_view where);

}  // namespace pvnet::json
