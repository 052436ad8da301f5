// SPDX-License-Identifier: Apache-2.0
// Model files: bytes as they come, numbers of the header exchanged, the length put right.
#include <cstring>

#include "cpp/model_fixture.hpp"
#include "network.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto loaded = pvnet::load_model(data, size);
  if (!loaded.ok()) return 0;
  const pvnet::Model& model = loaded.value();
  if (!pvnet::check_weights(model.graph, model.weights).ok()) {
    fuzz::die("load_model accepted weights that check_weights refuses");
  }
  fuzz::Bytes in(data, 0);
  fuzz::run(model.graph, in);
  return 0;
}

#ifdef PVNET_LIBFUZZER
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// A number of the header becomes another one, or a byte changes; then the length is put right.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  fixture::Random random(seed + 1u);
  uint64_t header = 0;
  if (size < sizeof(header)) {
    const std::string good = fixture::saved_bytes(fixture::model_of(fixture::tiny_graph()));
    if (good.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
    std::memcpy(data, good.data(), good.size());
    return good.size();
  }
  std::memcpy(&header, data, sizeof(header));
  if (random.below(4) == 0 || header > size - sizeof(header)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  std::string text(reinterpret_cast<const char*>(data) + sizeof(header), header);
  const std::string rest(reinterpret_cast<const char*>(data) + sizeof(header) + header,
                         size - sizeof(header) - header);
  static const char* const kNumbers[] = {
      "0",          "1",     "2",      "3",     "17",        "2047",       "4096",
      "65535",      "65536", "524288", "-1",    "1e9",       "2147483647", "2147483648",
      "4294967296", "0.5",   "1e-45",  "1e308", "268435456", "1073741824", "9223372036854775807"};
  const size_t edits = 1 + random.below(3);
  for (size_t i = 0; i < edits; ++i) {
    const size_t from = text.find_first_of("0123456789", random.below(text.size() + 1));
    if (from == std::string::npos) continue;
    const size_t to = std::min(text.find_first_not_of("0123456789.e-+", from), text.size());
    text.replace(from, to - from, kNumbers[random.below(std::size(kNumbers))]);
  }
  while (text.size() % 8 != 0) text += ' ';
  header = text.size();
  const std::string all =
      std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + text + rest;
  if (all.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, all.data(), all.size());
  return all.size();
}
#endif
