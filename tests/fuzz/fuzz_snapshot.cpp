// SPDX-License-Identifier: Apache-2.0
// Snapshots: edited, cut, and with the checksum put right. What is refused changes nothing; what is
// accepted leaves a stream whose outputs are numbers.
#include <cmath>
#include <cstring>
#include <memory>

#include "cpp/model_fixture.hpp"
#include "network.hpp"
#include "plan/hash.hpp"

namespace {

constexpr size_t kHeader = 40, kChecksum = 32;

std::shared_ptr<const pvnet::Plan> plan_of(int batch) {
  auto wired = fixture::small_graph().wire(pvnet::Wiring::predictive, 2);
  if (!wired.ok()) fuzz::die(wired.status().message());
  pvnet::CompileOptions options;
  options.backend = "cpu";
  options.isa = "scalar";
  options.lanes = 1;
  options.batch = batch;
  auto plan =
      pvnet::Plan::compile(wired.value(), fixture::random_weights(wired.value(), 1), options);
  if (!plan.ok()) fuzz::die(plan.status().message());
  return std::move(plan).value();
}

void tick(pvnet::StreamCore& stream, int batch) {
  static const std::vector<float> pixels(3 * 16 * 16, 0.25f);
  pvnet::FrameView f;
  f.data = pixels.data();
  f.c = 3, f.h = 16, f.w = 16;
  f.strides[0] = 256, f.strides[1] = 16, f.strides[2] = 1;
  const std::vector<pvnet::FrameView> frames(static_cast<size_t>(batch), f);
  if (!stream.tick(frames.data()).ok()) fuzz::die("a good frame is refused");
}

std::string snapshot(const pvnet::StreamCore& stream) {
  std::string bytes(stream.snapshot_bytes(), '\0');
  if (!stream.snapshot(bytes.data(), bytes.size()).ok()) fuzz::die("no snapshot");
  return bytes;
}

void put_checksum(std::string& s) {
  std::memset(s.data() + kChecksum, 0, 8);
  const uint64_t head = pvnet::hash_bytes(pvnet::kHashSeed, s.data(), kHeader);
  const uint64_t sum = pvnet::hash_bytes(head, s.data() + kHeader, s.size() - kHeader);
  std::memcpy(s.data() + kChecksum, &sum, sizeof(sum));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const pvnet::Plan> plans[] = {plan_of(1), plan_of(2)};
  fuzz::Bytes in(data, size);
  const int batch = 1 + static_cast<int>(in.below(2));
  auto created = pvnet::StreamCore::create(plans[batch - 1]);
  if (!created.ok()) return 0;
  pvnet::StreamCore& stream = *created.value();
  for (size_t i = in.below(6); i > 0; --i) tick(stream, batch);
  const std::string before = snapshot(stream);
  for (size_t i = in.below(3); i > 0; --i) tick(stream, batch);
  std::string edited = before;
  while (in.more()) {
    const auto at = static_cast<size_t>(in.byte()) << 8 | in.byte();
    switch (in.below(5)) {
      case 0:
        edited[at % edited.size()] = static_cast<char>(in.byte());
        break;
      case 1: {  // a tick counter
        const int64_t t = in.number();
        if (edited.size() >= kHeader + 8) std::memcpy(edited.data() + kHeader, &t, 8);
        break;
      }
      case 2: {  // a float of the state
        static constexpr float kFloats[] = {NAN, INFINITY, -INFINITY, 1e-40f, 3e38f};
        const float x = in.one_of(kFloats);
        const size_t to = kHeader + 8 * static_cast<size_t>(batch) + at % 4096 * 4;
        if (to + 4 <= edited.size()) std::memcpy(edited.data() + to, &x, 4);
        break;
      }
      case 3:
        if (in.chance(10)) edited.resize(at % (edited.size() + 1));
        if (edited.size() < kHeader) edited.resize(kHeader);
        break;
      default:
        put_checksum(edited);
    }
  }
  if (in.chance(80) || size % 2 == 0) put_checksum(edited);
  const std::string now = snapshot(stream);
  if (!stream.restore(edited.data(), edited.size()).ok()) {
    if (snapshot(stream) != now) fuzz::die("a refused snapshot changed the stream");
    return 0;
  }
  for (int i = 0; i < 3; ++i) tick(stream, batch);
  if (!stream.reset().ok()) fuzz::die("no reset");
  if (snapshot(stream) != snapshot(*pvnet::StreamCore::create(plans[batch - 1]).value())) {
    fuzz::die("a reset stream is not a new one");
  }
  return 0;
}
