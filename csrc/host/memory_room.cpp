// SPDX-License-Identifier: Apache-2.0
#include "host/memory_room.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>

#include "graph/errors.hpp"
#include "host/control_groups.hpp"

namespace pvnet {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// The number behind `key` in a file of lines "key number".
std::optional<int64_t> number_of(const std::string& path, std::string_view key) {
  std::ifstream in(path);
  for (std::string name; in >> name;) {
    int64_t n = 0;
    if (name == key) return in >> n ? std::optional(n) : std::nullopt;
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

std::optional<int64_t> number_in(const std::string& path) {  // "max" is none
  std::ifstream in(path);
  int64_t n = 0;
  return in >> n ? std::optional(n) : std::nullopt;
}

int64_t machine_room(const std::string& root) {
  const std::string path = root + "/proc/meminfo";
  const std::optional<int64_t> free = number_of(path, "MemAvailable:");
  if (!free) return kNoLimit;
  return (*free + number_of(path, "SwapFree:").value_or(0)) * 1024;
}

// Pages of files that were not used for a while are counted, but given up when memory is short.
int64_t group_room(const GroupFolder& group) {
  const auto limit = number_in(group.path + (group.v2 ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto used =
      number_in(group.path + (group.v2 ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !used || *limit > kNoLimit / 2) return kNoLimit;
  const int64_t files =
      number_of(group.path + "/memory.stat", group.v2 ? "inactive_file" : "total_inactive_file")
          .value_or(0);
  return std::max<int64_t>(0, *limit - *used + files);
}

// used: pages, the first (all) or the sixth (data) number of statm.
int64_t rlimit_room(int resource, size_t used, const std::string& root) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return kNoLimit;
  if (limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  std::ifstream in(root + "/proc/self/statm");
  int64_t pages = 0;
  for (size_t i = 0; i <= used; ++i) in >> pages;
  const int64_t bytes = in ? pages * sysconf(_SC_PAGESIZE) : 0;
  const auto most = static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, kNoLimit));
  return std::max<int64_t>(0, most - bytes);
}

}  // namespace

MemoryRoom memory_room(const std::string& root) {
  MemoryRoom least{kNoLimit, "none"};
  const auto consider = [&](int64_t bytes, const char* limit) {
    if (bytes < least.bytes) least = {bytes, limit};
  };
  consider(machine_room(root), "the memory of this machine");
  for (const GroupFolder& group : control_groups("memory", root)) {
    consider(group_room(group), "the memory limit of the container (control group)");
  }
  consider(rlimit_room(RLIMIT_AS, 0, root), "the limit of address space (ulimit -v)");
  consider(rlimit_room(RLIMIT_DATA, 5, root), "the limit of data (ulimit -d)");
  return least;
}

Status need_memory(std::string_view where, std::string_view what, Size bytes, std::string_view cure,
                   const std::string& root) {
  const MemoryRoom room = memory_room(root);
  if (bytes.at_most(room.bytes)) return {};
  return failed(Code::out_of_memory, where, what, bytes.text() + " bytes",
                "at most " + std::to_string(room.bytes) + ", which " + room.limit + " leaves",
                cure);
}

}  // namespace pvnet
