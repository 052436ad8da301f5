// SPDX-License-Identifier: Apache-2.0
// Damaged plans: every field of a Plan (plan_fields.hpp), at every place where it occurs, in many
// ways. The plan is changed in place, shown to a judge, and put back.
#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "backends/registry.hpp"
#include "plan/device/program.hpp"
#include "plan_fields.hpp"

namespace mutants {

// Types whose values can be compared; std::vector promises == for elements that have none.
template <class T>
constexpr bool kComparable = std::equality_comparable<T>;
template <class T>
constexpr bool kComparable<std::vector<T>> = kComparable<T>;

template <class T>
bool known_equal(const T& a, const T& b) {
  if constexpr (kComparable<T>) return a == b;
  return false;
}

// judge(field, damage): field is a path without indices, e.g. "values[].clock.period".
template <class Judge>
class Damage {
 public:
  // Of all kinds of damage at all places, one in `one_in` is tried.
  Damage(pvnet::Plan& plan, uint32_t seed, unsigned one_in, Judge judge)
      : plan_(plan), rng_(seed), one_in_(one_in), judge_(judge) {}

  void everywhere() { structure(plan_, ""); }
  // In something else, which belongs to the plan.
  template <class T>
  void everywhere_in(T& t) {
    structure(t, "");
  }

 private:
  pvnet::Plan& plan_;
  std::mt19937 rng_;
  const unsigned one_in_;
  Judge judge_;

  bool chosen() { return rng_() % one_in_ == 0; }
  size_t below(size_t n) { return rng_() % n; }

  template <class T>
  void with(T& field, T damaged, const std::string& path, const char* what) {
    if (!chosen()) return;
    if (known_equal(damaged, field)) return;
    std::swap(field, damaged);
    judge_(path, what);
    std::swap(field, damaged);
  }

  template <class T>
  void structure(T& t, const std::string& path) {
    auto all = fields::Fields<T>::tie(t);
    const auto each = [&]<size_t... I>(std::index_sequence<I...>) {
      (field(std::get<I>(all), path + (path.empty() ? "" : ".") + fields::Fields<T>::names[I]),
       ...);
    };
    each(std::make_index_sequence<std::tuple_size_v<decltype(all)>>{});
  }

  template <class T>
  void field(T& f, const std::string& path) {
    if constexpr (fields::Structure<T>) {
      structure(f, path);
    } else if constexpr (std::is_same_v<T, bool>) {
      with(f, !f, path, "the other");
    } else if constexpr (std::is_enum_v<T>) {
      using U = std::underlying_type_t<T>;
      for (int d = 1; d <= 3; ++d) with(f, static_cast<T>(static_cast<U>(f) + d), path, "another");
      with(f, static_cast<T>(static_cast<U>(f) - 1), path, "the one before");
      with(f, static_cast<T>(0xff), path, "none");
    } else if constexpr (std::is_integral_v<T>) {
      integer(f, path);
    } else if constexpr (std::is_floating_point_v<T>) {
      with(f, f * 2 + 1, path, "larger");
      with(f, -f, path, "negative");
      with(f, T{0}, path, "zero");
      with(f, std::nextafter(f, T{2}), path, "the next number");
      with(f, std::numeric_limits<T>::quiet_NaN(), path, "not a number");
    } else if constexpr (std::is_same_v<T, std::string>) {
      with(f, std::string(), path, "empty");
      with(f, f + "x", path, "longer");
    } else {
      special(f, path);
    }
  }

  template <class T>
  void integer(T& f, const std::string& path) {
    using U = std::make_unsigned_t<T>;
    with(f, static_cast<T>(static_cast<U>(f) + 1), path, "+1");
    with(f, static_cast<T>(static_cast<U>(f) - 1), path, "-1");
    with(f, T{0}, path, "zero");
    with(f, static_cast<T>(-1), path, "minus one");
    with(f, static_cast<T>(U{0} - static_cast<U>(f)), path, "negative");
    with(f, static_cast<T>(static_cast<U>(f) * 2), path, "twice");
    with(f, static_cast<T>(static_cast<U>(f) + 16), path, "+16");
    with(f, static_cast<T>(1) << 20, path, "2^20");
    with(f, static_cast<T>(1) << (sizeof(T) * 8 - 3), path, "huge");
    with(f, std::numeric_limits<T>::max(), path, "the largest");
    with(f, std::numeric_limits<T>::min(), path, "the smallest");
  }

  template <class T>
  void special(std::vector<T>& f, const std::string& path) {
    list(f, path);
    for (size_t i = 0; i < f.size(); ++i) {
      if constexpr (fields::Structure<T>) siblings(f, i, path + "[]");
      field(f[i], path + "[]");
    }
  }
  template <class T, size_t N>
  void special(T (&f)[N], const std::string& path) {
    for (T& element : f) field(element, path + "[]");
  }
  template <class T, size_t N>
  void special(std::array<T, N>& f, const std::string& path) {
    for (size_t i = 0; i < N; ++i) {
      field(f[i], path + "[]");
      if (i == 0) continue;
      std::array<T, N> swapped = f;
      std::swap(swapped[0], swapped[i]);
      with(f, swapped, path, "swapped");
    }
  }

  // Elements removed, doubled, exchanged, copied over one another.
  template <class T>
  void list(std::vector<T>& f, const std::string& path) {
    const auto edit = [&](const char* what, auto&& change) {
      if (!chosen()) return;
      std::vector<T> original = std::move(f);  // keeps its buffer, which a pointer may name
      f = original;
      change();
      judge_(path, what);
      f = std::move(original);
    };
    edit("one more, of no value", [&] { f.emplace_back(); });
    if (f.empty()) return;
    edit("empty", [&] { f.clear(); });
    for (size_t i = 0; i < f.size(); ++i) {
      const auto at = [&](size_t k) { return f.begin() + static_cast<int64_t>(k); };
      edit("one removed", [&] { f.erase(at(i)); });
      edit("one doubled", [&] { f.insert(at(i), T(f[i])); });
      const size_t j = below(f.size());
      if (i == j) continue;
      if (known_equal(f[i], f[j])) continue;
      edit("two exchanged", [&] { std::swap(f[i], f[j]); });
      edit("one over another", [&] { f[i] = f[j]; });
      edit("one moved", [&] {
        T t = f[i];
        f.erase(at(i));
        f.insert(at(below(f.size() + 1)), std::move(t));
      });
    }
  }

  // Single fields of one element that come from another.
  template <class T>
  void siblings(std::vector<T>& f, size_t i, const std::string& path) {
    const size_t j = below(f.size());
    if (i == j) return;
    auto mine = fields::Fields<T>::tie(f[i]);
    auto theirs = fields::Fields<T>::tie(f[j]);
    const auto one = [&]<class U>(U& a, U& b, const char* name) {
      if constexpr (!std::is_array_v<U>) {
        if (known_equal(a, b)) return;
        with(a, U(b), path + "." + name, "another's");
        if (!chosen()) return;
        std::swap(a, b);
        judge_(path + "." + name, "exchanged with another's");
        std::swap(a, b);
      }
    };
    const auto each = [&]<size_t... I>(std::index_sequence<I...>) {
      (one(std::get<I>(mine), std::get<I>(theirs), fields::Fields<T>::names[I]), ...);
    };
    each(std::make_index_sequence<std::tuple_size_v<decltype(mine)>>{});
  }

  void special(const int*& f, const std::string& path) {
    with(f, static_cast<const int*>(nullptr), path, "null");
    static const int other[64] = {1, 2, 3};
    with(f, static_cast<const int*>(other), path, "another list");
    const auto& params = plan_.ops[below(plan_.ops.size())].params;
    if (params != nullptr) with(f, params->seg_c.data(), path, "the list of another op");
  }
  void special(const pvnet::Backend*& f, const std::string& path) {
    with(f, static_cast<const pvnet::Backend*>(nullptr), path, "null");
    with(f, pvnet::find_backend("ref", "").value(), path, "another");
    for (const char* const* isa = pvnet::cpu_isas(); *isa != nullptr; ++isa) {
      with(f, pvnet::find_backend("cpu", *isa).value(), path, "another");
      with(f, pvnet::find_backend("cpu", *isa, "bf16").value(), path, "one of another dtype");
      with(f, pvnet::find_backend("cpu", *isa, "int8").value(), path, "one of another dtype");
    }
  }
  void special(std::shared_ptr<const pvnet::OpParams>& f, const std::string& path) {
    with(f, std::shared_ptr<const pvnet::OpParams>(), path, "null");
    structure(const_cast<pvnet::OpParams&>(*f), path);
  }
  void special(std::shared_ptr<const pvnet::device::Program>& f, const std::string& path) {
    with(f, std::make_shared<const pvnet::device::Program>(), path, "empty tables");
  }
  void special(std::map<std::string, std::string>& f, const std::string& path) {
    for (const char* algorithm : {"direct", "winograd 2x2", "winograd 4x4", "another"}) {
      std::map<std::string, std::string> all;
      for (const pvnet::Node& node : plan_.graph.nodes()) all[node.name] = algorithm;
      with(f, std::move(all), path, algorithm);
    }
  }
  void special(std::map<std::string, pvnet::ValueRange>& f, const std::string& path) {
    with(f, std::map<std::string, pvnet::ValueRange>(), path, "empty");
    for (const auto& [name, range] : std::map(f)) {
      auto other = f;
      other[name] = {range.low - 1.0f, range.high * 3.0f};
      with(f, other, path, "another range");
      other.erase(name);
      with(f, other, path, "one fewer");
    }
    auto more = f;
    more["nobody"] = {0.0f, 1.0f};
    with(f, more, path, "one more");
  }
  void special(std::map<std::string, double>& f, const std::string& path) {
    auto more = f;
    more["nobody"] = 1.0;
    with(f, more, path, "one more");
    with(f, std::map<std::string, double>(), path, "empty");
  }
  // Of floats.
  void special(pvnet::AlignedBytes& f, const std::string& path) {
    const size_t count = f.size() / sizeof(float);
    for (int i = 0; i < 64 && count > 0; ++i) {
      field(f.floats()[below(count)], path + "[]");
      float& a = f.floats()[below(count)];
      float& b = f.floats()[below(count)];
      if (a == b || !chosen()) continue;
      std::swap(a, b);
      judge_(path, "two exchanged");
      std::swap(a, b);
    }
    if (count > 0) with(f, pvnet::AlignedBytes(f.size() - sizeof(float)), path, "shorter");
    if (count > 0) with(f, pvnet::AlignedBytes(f.size() - 1), path, "a byte shorter");
    with(f, pvnet::AlignedBytes(), path, "empty");
  }
  // The graph is what all else is judged by: it can only be another one.
  void special(pvnet::Graph& f, const std::string& path) {
    with(f, pvnet::Graph(), path, "empty");
    for (const auto wiring :
         {pvnet::Wiring::sequential, pvnet::Wiring::pipelined, pvnet::Wiring::predictive}) {
      for (const int stages : {1, 2, 3}) {
        auto other = f.wire(wiring, stages);
        if (other.ok()) with(f, other.value(), path, "another wiring");
      }
    }
    const std::string text = f.to_json();
    const std::pair<const char*, const char*> edits[] = {{"\"relu\"", "\"silu\""},
                                                         {"\"n1\"", "\"m1\""},
                                                         {"\"y0\"", "\"z0\""},
                                                         {"\"ticks\":1", "\"ticks\":2"},
                                                         {"\"max_pool\"", "\"avg_pool\""},
                                                         {"\"add\"", "\"mul\""},
                                                         {"\"bilinear\"", "\"nearest\""},
                                                         {"\"norm\":true", "\"norm\":false"}};
    for (const auto& [from, to] : edits) {
      std::string edited = text;
      for (size_t at = 0; (at = edited.find(from, at)) != std::string::npos;) {
        edited.replace(at, std::string(from).size(), to);
        at += std::string(to).size();
      }
      auto other = edited == text
                       ? pvnet::Result<pvnet::Graph>(pvnet::Status(pvnet::Code::graph, ""))
                       : pvnet::Graph::from_json(edited);
      if (other.ok()) with(f, other.value(), path, "another attribute");
    }
  }
};

}  // namespace mutants
