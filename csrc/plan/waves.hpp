// SPDX-License-Identifier: Apache-2.0
// Independent chains of levels side by side: wave w is made of one level of every chain that has
// begun and not yet ended.
#pragma once

#include <cstddef>
#include <vector>

namespace pvnet {

// In which wave each chain begins, by the costs of its levels, so that there are as many waves as
// the longest chain has levels: each chain, the dearest first, goes to where the highest wave that
// it takes part in becomes lowest.
std::vector<size_t> wave_starts(const std::vector<std::vector<double>>& chains);

}  // namespace pvnet
