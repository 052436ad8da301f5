// SPDX-License-Identifier: Apache-2.0
// Limits of memory read from trees that a test makes: machines and containers of both versions.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "check.hpp"
#include "host/memory_room.hpp"

using namespace pvnet;

namespace {

class Tree {  // a file system that is taken away again
 public:
  Tree() {
    std::string name = (std::filesystem::temp_directory_path() / "pvnet_room_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    root = name;
    write("/proc/meminfo", "MemTotal: 900 kB\nMemAvailable:  600 kB\nSwapFree: 100 kB\n");
  }
  ~Tree() { std::filesystem::remove_all(root); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  }

  std::string root;
};

constexpr int64_t kKiB = 1024;

}  // namespace

TEST(a_machine_gives_what_is_available_and_its_swap) {
  const Tree tree;
  CHECK_EQ(memory_room(tree.root).bytes, 700 * kKiB);
  CHECK(need_memory("x", "it does not fit", 700 * kKiB, "Use less.", tree.root).ok());
  const Status s = need_memory("x", "it does not fit", 700 * kKiB + 1, "Use less.", tree.root);
  CHECK(s.code() == Code::out_of_memory);
  CHECK_EQ(s.message(),
           "[x] it does not fit: got 716801 bytes, expected at most 716800, which the memory of "
           "this machine leaves. Use less.");
  CHECK(!need_memory("x", "it does not fit", Size(-1), "Use less.", tree.root).ok());
}

TEST(a_container_gives_less_than_the_machine_v2) {
  const Tree tree;
  tree.write("/proc/self/mountinfo", "30 1 0:26 / /cg rw,nosuid - cgroup2 cgroup rw\n");
  tree.write("/proc/self/cgroup", "0::/pod/box\n");
  tree.write("/cg/pod/box/memory.max", "max\n");
  tree.write("/cg/pod/box/memory.current", "1024\n");
  CHECK_EQ(memory_room(tree.root).bytes, 700 * kKiB);
  // The group above counts, too, and pages of files that can be dropped do not.
  tree.write("/cg/pod/memory.max", "409600\n");
  tree.write("/cg/pod/memory.current", "204800\n");
  tree.write("/cg/pod/memory.stat", "anon 5\ninactive_file 102400\nslab 3\n");
  CHECK_EQ(memory_room(tree.root).bytes, 409600 - 204800 + 102400);
  tree.write("/cg/pod/memory.current", "999999\n");
  CHECK_EQ(memory_room(tree.root).bytes, 0);
}

TEST(a_container_gives_less_than_the_machine_v1) {
  const Tree tree;
  tree.write("/proc/self/mountinfo",
             "30 1 0:26 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
             "31 1 0:27 /docker/ab /cg/memory rw - cgroup cgroup rw,memory\n");
  tree.write("/proc/self/cgroup", "5:cpu:/\n4:memory:/docker/ab\n");
  tree.write("/cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
  tree.write("/cg/memory/memory.usage_in_bytes", "4096\n");
  CHECK_EQ(memory_room(tree.root).bytes, 700 * kKiB);
  tree.write("/cg/memory/memory.limit_in_bytes", "8192\n");
  CHECK_EQ(memory_room(tree.root).bytes, 4096);
  tree.write("/cg/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 1024\n");
  CHECK_EQ(memory_room(tree.root).bytes, 4096 + 1024);
}
