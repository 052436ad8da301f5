// SPDX-License-Identifier: Apache-2.0
#include "host/control_groups.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

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
std::vector<Mount> mounts(const std::string& root, std::string_view controller) {
  std::vector<Mount> out;
  std::ifstream in(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> w = words(line, ' ');
    const auto dash = std::find(w.begin(), w.end(), "-");
    if (w.size() < 6 || w.end() - dash < 4) continue;
    const bool v2 = dash[1] == "cgroup2";
    if (!v2 && !(dash[1] == "cgroup" && lists(dash[3], controller))) continue;
    out.push_back({v2, unescaped(w[3]), unescaped(w[4])});
  }
  return out;
}

// Line: hierarchy:controllers:group; hierarchy 0 without controllers is v2.
std::string group_of(const std::string& root, std::string_view controller, bool v2) {
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t a = line.find(':');
    const size_t b = a == std::string::npos ? a : line.find(':', a + 1);
    if (b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1);
    if (v2 ? line.substr(0, a) == "0" && controllers.empty() : lists(controllers, controller)) {
      return line.substr(b + 1);
    }
  }
  return "";
}

}  // namespace

std::vector<GroupFolder> control_groups(std::string_view controller, const std::string& root) {
  std::vector<GroupFolder> folders;
  for (const Mount& mount : mounts(root, controller)) {
    std::string group = group_of(root, controller, mount.v2);
    // A container may see its own group as the top of the mount, and still read its full name.
    if (mount.top != "/" && group.rfind(mount.top, 0) == 0) group.erase(0, mount.top.size());
    while (!group.empty() && group.back() == '/') group.pop_back();
    for (;;) {
      folders.push_back({mount.v2, root + mount.point + group});
      if (group.empty()) break;
      group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
    }
  }
  return folders;
}

}  // namespace pvnet
