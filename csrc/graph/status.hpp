// SPDX-License-Identifier: Apache-2.0
// Status and Result<T>: how libpvnet reports failure. Nothing in the library throws on purpose; the
// Python binding turns a Status into an exception, the C ABI into an int.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace pvnet {

enum class Code : int {
  ok = 0,
  invalid_argument = 1,  // a value outside its range, a wrong dtype, a wrong shape
  graph = 2,             // the network itself is not runnable: cycle, clocks, shapes
  file = 3,              // not readable, damaged, or written by a newer version
  state = 4,             // called at the wrong moment: stream busy, snapshot of another plan
  unsupported = 5,       // a capability this build or machine lacks
  internal = 6,          // a bug in pvnet
  out_of_memory = 7,     // the machine has not the memory that was asked for
};

// message has the form "[where] what is wrong: got X, expected Y. Do Z."
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  [[nodiscard]] bool ok() const { return code_ == Code::ok; }
  [[nodiscard]] Code code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  Code code_ = Code::ok;
  std::string message_;
};

// Either a value or a failed Status.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: implicit by design
  [[nodiscard]] bool ok() const { return value_.has_value(); }
  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] T& value() & { return *value_; }
  [[nodiscard]] const T& value() const& { return *value_; }
  [[nodiscard]] T&& value() && { return std::move(*value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace pvnet

// Returns early from a function that itself returns Status or Result<T>.
#define PVNET_TRY(expr)                                    \
  do {                                                     \
    ::pvnet::Status pvnet_try_status_ = (expr);            \
    if (!pvnet_try_status_.ok()) return pvnet_try_status_; \
  } while (false)
