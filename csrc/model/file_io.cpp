// SPDX-License-Identifier: Apache-2.0
#include "model/file_io.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include "model/errors.hpp"
#include "model/whole_file.hpp"

namespace pvnet::model {

std::string errno_text(int error) {
  char buffer[128] = "";
  // The GNU and the POSIX strerror_r differ in their result; both leave or return the text.
  const auto pick = [&buffer](auto r) -> const char* {
    if constexpr (std::is_pointer_v<decltype(r)>) {
      return r;
    } else {
      return buffer;
    }
  };
  return pick(strerror_r(error, buffer, sizeof(buffer)));
}

static Status read_failure(const std::string& label, const std::string& got) {
  return failure(Code::file, "load_model", label + " cannot be read", got,
                 "a readable regular file", "Check the path and its permissions");
}

Result<Source> Source::open(const std::string& path) {
  Source s;
  s.label_ = quoted(path);
  if (path.find('\0') != std::string::npos) return read_failure(s.label_, "a path with a NUL byte");
  s.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not hang us
  if (s.fd_ < 0) return read_failure(s.label_, errno_text(errno));
  struct stat info{};
  if (::fstat(s.fd_, &info) != 0) return read_failure(s.label_, errno_text(errno));
  if (!S_ISREG(info.st_mode)) return read_failure(s.label_, "something that is not a regular file");
  s.size_bytes_ = static_cast<uint64_t>(info.st_size);
  s.written_ = info.st_mtim;
  return Result<Source>(std::move(s));
}

Source Source::memory(const void* bytes, size_t size_bytes) {
  Source s;
  s.label_ = "the model in memory";
  s.bytes_ = static_cast<const unsigned char*>(bytes);
  s.size_bytes_ = size_bytes;
  return s;
}

Source Source::copy(const void* bytes, size_t size_bytes) {
  auto own = std::make_unique<unsigned char[]>(size_bytes);
  if (size_bytes != 0) std::memcpy(own.get(), bytes, size_bytes);
  Source s = memory(own.get(), size_bytes);
  s.copy_ = std::move(own);
  return s;
}

Source::Source(Source&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      written_(other.written_),
      copy_(std::move(other.copy_)),
      bytes_(other.bytes_),
      size_bytes_(other.size_bytes_),
      label_(std::move(other.label_)) {}

Source::~Source() {
  if (fd_ >= 0) ::close(fd_);
}

Status Source::read(uint64_t offset, void* dst, size_t count) const {
  if (bytes_ != nullptr) {
    if (count != 0) std::memcpy(dst, bytes_ + offset, count);
    return {};
  }
  auto* out = static_cast<unsigned char*>(dst);
  while (count > 0) {
    const ssize_t n = ::pread(fd_, out, std::min(count, kMaxTransfer), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return read_failure(label_, errno_text(errno));
    if (n == 0) return read_failure(label_, "an end of file that came early");
    out += n;
    offset += static_cast<uint64_t>(n);
    count -= static_cast<size_t>(n);
  }
  struct stat info{};
  if (::fstat(fd_, &info) != 0) return read_failure(label_, errno_text(errno));
  const bool same = static_cast<uint64_t>(info.st_size) == size_bytes_ &&
                    info.st_mtim.tv_sec == written_.tv_sec &&
                    info.st_mtim.tv_nsec == written_.tv_nsec;
  if (same) return {};
  return failure(Code::file, "load_model", label_ + " was written into while it was read",
                 "another size or time", "a file that stays as it is",
                 "Replace model files as a whole, by rename, and load it again");
}

Status write_atomically(const std::string& path, const std::vector<Chunk>& chunks) {
  Result<WholeFile> file = WholeFile::create(path, "save_model");
  if (!file.ok()) return file.status();
  for (const Chunk& chunk : chunks) {
    if (Status s = file.value().write(chunk.data, chunk.size_bytes); !s.ok()) return s;
  }
  return file.value().commit();
}

}  // namespace pvnet::model
