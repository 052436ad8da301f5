// SPDX-License-Identifier: Apache-2.0
#include "backends/host/cpu_quota.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace pvnet {
namespace {

// A mounted hierarchy: `top` is the group that one sees at `point`.
struct Mount {
  bool v2 = false;
  std::string top, point;
};

std::vector<std::string> words(const std::string& line, char separator) {
  std::vector<std::string> out;
  std::istringstream in(line);
  for (std::string word; std::getline(in, word, separator);) out.push_back(word);
  return out;
}

bool lists(const std::string& names, std::string_view name) {
  const std::vector<std::string> all = words(names, ',');
  return std::find(all.begin(), all.end(), name) != all.end();
}

// mountinfo writes white space in paths as octal escapes.
std::string unescaped(const std::string& path) {
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && i + 3 < path.size()) {
      out += static_cast<char>(std::strtol(path.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      out += path[i];
    }
  }
  return out;
}

// Line: id parent major:minor top point options [fields...] - type source super-options
std::vector<Mount> mounts(const std::string& root) {
  std::vector<Mount> out;
  std::ifstream in(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> w = words(line, ' ');
    const auto dash = std::find(w.begin(), w.end(), "-");
    if (w.size() < 6 || w.end() - dash < 4) continue;
    const bool v2 = dash[1] == "cgroup2";
    if (!v2 && !(dash[1] == "cgroup" && lists(dash[3], "cpu"))) continue;
    out.push_back({v2, unescaped(w[3]), unescaped(w[4])});
  }
  return out;
}

// Line: hierarchy:controllers:group; hierarchy 0 without controllers is v2.
std::string group_of(const std::string& root, bool v2) {
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t a = line.find(':');
    const size_t b = a == std::string::npos ? a : line.find(':', a + 1);
    if (b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1);
    if (v2 ? line.substr(0, a) == "0" && controllers.empty() : lists(controllers, "cpu")) {
      return line.substr(b + 1);
    }
  }
  return "";
}

double number_in(const std::string& path) {
  std::ifstream in(path);
  double x = 0;
  return in >> x ? x : 0;
}

// Of one group; 0 = none.
double quota_at(const Mount& mount, const std::string& folder) {
  double quota = 0, period = 0;
  if (mount.v2) {
    std::ifstream in(folder + "/cpu.max");  // "max 100000" or "150000 100000"
    if (!(in >> quota >> period)) return 0;
  } else {
    quota = number_in(folder + "/cpu.cfs_quota_us");  // -1: none
    period = number_in(folder + "/cpu.cfs_period_us");
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

}  // namespace

double cpu_quota(const std::string& root) {
  double least = 0;
  for (const Mount& mount : mounts(root)) {
    std::string group = group_of(root, mount.v2);
    // A container may see its own group as the top of the mount, and still read its full name.
    if (mount.top != "/" && group.rfind(mount.top, 0) == 0) group.erase(0, mount.top.size());
    while (!group.empty() && group.back() == '/') group.pop_back();
    for (;;) {
      const double quota = quota_at(mount, root + mount.point + group);
      if (quota > 0 && (least == 0 || quota < least)) least = quota;
      if (group.empty()) break;
      group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
    }
  }
  return least;
}

}  // namespace pvnet
