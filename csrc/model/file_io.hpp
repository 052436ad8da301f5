// SPDX-License-Identifier: Apache-2.0
// Where model bytes come from and go to: a regular file or memory in, an atomically replaced file
// out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/status.hpp"

namespace pvnet::model {

// Linux transfers at most 2^31 - 4096 bytes a call.
constexpr size_t kMaxTransfer = size_t{1} << 30;

std::string errno_text(int error);

// Reads at offsets from a file or from borrowed memory. Not copyable: owns the file descriptor.
class Source {
 public:
  static Result<Source> open(const std::string& path);
  static Source memory(const void* bytes, size_t size_bytes);
  static Source copy(const void* bytes, size_t size_bytes);  // throws std::bad_alloc
  Source(Source&& other) noexcept;
  Source& operator=(Source&&) = delete;
  Source(const Source&) = delete;
  ~Source();

  uint64_t size_bytes() const { return size_bytes_; }
  const std::string& label() const { return label_; }  // names the source in messages
  // offset + count <= size_bytes(). Fails when the file was written into since it was opened.
  Status read(uint64_t offset, void* dst, size_t count) const;

 private:
  Source() = default;
  int fd_ = -1;
  timespec written_{};  // when the file was last, as it was opened
  std::unique_ptr<unsigned char[]> copy_;
  const unsigned char* bytes_ = nullptr;
  uint64_t size_bytes_ = 0;
  std::string label_;
};

struct Chunk {
  const void* data = nullptr;
  size_t size_bytes = 0;
};
// Writes the chunks as a WholeFile.
Status write_atomically(const std::string& path, const std::vector<Chunk>& chunks);

}  // namespace pvnet::model
