// SPDX-License-Identifier: Apache-2.0
// The few lines of a test framework that the C++ tests need: TEST(name) { CHECK(...); } and a main.
// A dependency would have to be installed by everyone who runs the one test command.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

namespace check {

struct Case {
  const char* name;
  void (*run)();
};
inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
inline int& failures() {
  static int n = 0;
  return n;
}
struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};
inline void fail(const char* file, int line, const std::string& what) {
  ++failures();
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

// Of a test's many cases of one kind every how-manieth runs: PVNET_TEST_EVERY, else each of them.
inline int every() {
  const char* const given = std::getenv("PVNET_TEST_EVERY");
  const int n = given == nullptr ? 1 : std::atoi(given);
  return n < 1 ? 1 : n;
}

}  // namespace check

#define TEST(name)                                              \
  static void test_##name();                                    \
  static ::check::Register register_##name(#name, test_##name); \
  static void test_##name()
#define CHECK(cond)                                                     \
  do {                                                                  \
    if (!(cond)) ::check::fail(__FILE__, __LINE__, "CHECK(" #cond ")"); \
  } while (false)
#define CHECK_EQ(a, b)                                                             \
  do {                                                                             \
    const auto check_a_ = (a);                                                     \
    const auto check_b_ = (b);                                                     \
    if (!(check_a_ == check_b_)) {                                                 \
      std::ostringstream check_os_;                                                \
      check_os_ << "CHECK_EQ(" #a ", " #b "): " << check_a_ << " != " << check_b_; \
      ::check::fail(__FILE__, __LINE__, check_os_.str());                          \
    }                                                                              \
  } while (false)

#ifdef CHECK_MAIN
int main(int argc, char** argv) {
  int run = 0;
  for (const auto& c : ::check::cases()) {
    if (argc > 1 && std::strstr(c.name, argv[1]) == nullptr) continue;
    const int before = ::check::failures();
    c.run();
    ++run;
    std::printf("%s %s\n", ::check::failures() == before ? "ok  " : "FAIL", c.name);
  }
  std::printf("%d run, %d checks failed\n", run, ::check::failures());
  return ::check::failures() != 0 || run == 0;
}
#endif
