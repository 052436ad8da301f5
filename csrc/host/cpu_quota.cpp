// SPDX-License-Identifier: Apache-2.0
#include "host/cpu_quota.hpp"

#include <fstream>

#include "host/control_groups.hpp"

namespace pvnet {
namespace {

double number_in(const std::string& path) {
  std::ifstream in(path);
  double x = 0;
  return in >> x ? x : 0;
}

// Of one group; 0 = none.
double quota_at(const GroupFolder& group) {
  double quota = 0, period = 0;
  if (group.v2) {
    std::ifstream in(group.path + "/cpu.max");  // "max 100000" or "150000 100000"
    if (!(in >> quota >> period)) return 0;
  } else {
    quota = number_in(group.path + "/cpu.cfs_quota_us");  // -1: none
    period = number_in(group.path + "/cpu.cfs_period_us");
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

}  // namespace

double cpu_quota(const std::string& root) {
  double least = 0;
  for (const GroupFolder& group : control_groups("cpu", root)) {
    const double quota = quota_at(group);
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
  }
  return least;
}

}  // namespace pvnet
