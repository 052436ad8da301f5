// SPDX-License-Identifier: Apache-2.0
// Where there is no libFuzzer: the inputs of the corpus (files or folders), then random ones from
// fixed seeds. replay [--random N] PATH...
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static int run_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  // Exactly as large as the input: a sanitizer sees the first byte beyond.
  std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  return 1;
}

int main(int argc, char** argv) {
  long random = 0;
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--random") == 0 && i + 1 < argc) {
      random = std::strtol(argv[++i], nullptr, 10);
    } else if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
        files += run_file(entry.path());
      }
    } else {
      files += run_file(argv[i]);
    }
  }
  for (long seed = 0; seed < random; ++seed) {
    std::mt19937 rng(static_cast<uint32_t>(seed));
    std::vector<uint8_t> bytes(rng() % 300);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%d files, %ld random inputs\n", files, random);
  return 0;
}
