// SPDX-License-Identifier: Apache-2.0
// Where the limits of this process's control groups are to be read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pvnet {

struct GroupFolder {
  bool v2 = false;
  std::string path;
};

// Folders of the groups (v1 and v2) that `controller` keeps this process in, each followed by those
// above it as far as they can be seen. `root` is put in front of /proc and of the mount points
// (tests make a tree of their own).
std::vector<GroupFolder> control_groups(std::string_view controller, const std::string& root);

}  // namespace pvnet
