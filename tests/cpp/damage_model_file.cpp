// SPDX-License-Identifier: Apache-2.0
// Thousands of damaged model files from fixed seeds: load_model returns, and what it accepts can be
// saved and loaded again. (tests/fuzz searches; this repeats.)
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "model_fixture.hpp"

static int load_one(const uint8_t* bytes, size_t size) {
  const auto r = pvnet::load_model(bytes, size);
  if (!r.ok()) return 0;
  if (!pvnet::check_weights(r.value().graph, r.value().weights).ok()) {
    fixture::die("load_model accepted weights that check_weights refuses");
  }
  return 1;
}

static void put_length(std::string* s, uint64_t n) {
  if (s->size() >= sizeof(n)) std::memcpy(s->data(), &n, sizeof(n));
}

static void mutate_once(std::string* s, fixture::Random* random) {
  static const char* const kTokens[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        "\"",
                                        "\\\"",
                                        ",",
                                        ":",
                                        "-1",
                                        "1e99",
                                        "0",
                                        "4",
                                        "F16",
                                        "BF16",
                                        "null",
                                        "9007199254740993",
                                        "18446744073709551616",
                                        "\\u0000"};
  constexpr size_t kTokenCount = sizeof(kTokens) / sizeof(kTokens[0]);
  if (s->empty()) return s->push_back('x');
  // Most of the meaning is in the header, which is most of a tiny file.
  const size_t at = random->below(s->size());
  switch (random->below(8)) {
    case 0:
      (*s)[at] = static_cast<char>((*s)[at] ^ (1 << random->below(8)));
      break;
    case 1:
      (*s)[at] = static_cast<char>(random->next());
      break;
    case 2:
      s->erase(at, 1 + random->below(9));
      break;
    case 3:
      s->insert(at, kTokens[random->below(kTokenCount)]);
      break;
    case 4: {  // another digit where there is one
      const size_t digit = s->find_first_of("0123456789", at);
      if (digit != std::string::npos) (*s)[digit] = static_cast<char>('0' + random->below(10));
      break;
    }
    case 5:  // a piece of the file somewhere else
      s->insert(at, s->substr(random->below(s->size()), 1 + random->below(40)));
      break;
    case 6:
      s->resize(at);
      break;
    default:
      put_length(s, random->below(2) == 0 ? random->next() : random->below(2 * s->size()));
  }
}

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 20000;
  const std::string good = fixture::saved_bytes(fixture::model_of(fixture::tiny_graph()));
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, good.data(), sizeof(header_bytes));
  long accepted = 0;
  for (long round = 0; round < rounds; ++round) {
    fixture::Random random(static_cast<uint64_t>(round) + 1);
    std::string s = good;
    const size_t n = 1 + random.below(4);
    for (size_t i = 0; i < n; ++i) mutate_once(&s, &random);
    // Half of the time the length is mended, else nearly every insertion would end right there.
    if (random.below(2) == 0) put_length(&s, header_bytes + s.size() - good.size());
    const std::vector<uint8_t> exact(s.begin(), s.end());
    accepted += load_one(exact.data(), exact.size());
  }
  std::printf("%ld files, %ld accepted\n", rounds, accepted);
  // Flipped bits of the weights are legal; none accepted would mean that the mutations are too
  // rough.
  return accepted > 0 && accepted < rounds ? 0 : 1;
}
