// SPDX-License-Identifier: Apache-2.0
#include "model/file_io.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include "model/errors.hpp"

namespace pvnet::model {

// Linux transfers at most 2^31 - 4096 bytes a call.
constexpr size_t kMaxTransfer = size_t{1} << 30;

static std::string errno_text(int error) {
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
  return Result<Source>(std::move(s));
}

Source Source::memory(const void* bytes, size_t size_bytes) {
  Source s;
  s.label_ = "the model in memory";
  s.bytes_ = static_cast<const unsigned char*>(bytes);
  s.size_bytes_ = size_bytes;
  return s;
}

Source::Source(Source&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
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
  return {};
}

static bool write_all(int fd, const Chunk& chunk) {
  const auto* p = static_cast<const unsigned char*>(chunk.data);
  size_t left = chunk.size_bytes;
  while (left > 0) {
    const ssize_t n = ::write(fd, p, std::min(left, kMaxTransfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    p += n;
    left -= static_cast<size_t>(n);
  }
  return true;
}

// A new file beside `path`; with 0666, so that the umask of the process counts as for any file.
static int create_beside(const std::string& path, std::string* beside) {
  constexpr int kAttempts = 100;
  static std::atomic<unsigned> serial{0};
  for (int i = 0; i < kAttempts; ++i) {
    *beside = path + "." + std::to_string(::getpid()) + "." + std::to_string(++serial) + ".tmp";
    const int fd = ::open(beside->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

static void sync_folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)::fsync(fd);  // the rename is done; some file systems cannot sync a folder
  ::close(fd);
}

Status write_atomically(const std::string& path, const std::vector<Chunk>& chunks) {
  const auto fail = [&path](const std::string& got) {
    return failure(Code::file, "save_model", quoted(path) + " cannot be written", got,
                   "a path in a writable folder",
                   "Check the folder, its permissions and free space");
  };
  if (path.empty() || path.find('\0') != std::string::npos) return fail("no file name");
  struct stat info{};
  const bool replaces = ::stat(path.c_str(), &info) == 0;
  if (replaces && !S_ISREG(info.st_mode)) {
    return fail("something that is not a regular file");
  }
  std::string beside;
  const int fd = create_beside(path, &beside);
  if (fd < 0) return fail(errno_text(errno));
  bool ok = true;
  for (const Chunk& chunk : chunks) ok = ok && write_all(fd, chunk);
  if (replaces) ok = ok && ::fchmod(fd, info.st_mode & 07777) == 0;
  ok = ok && ::fsync(fd) == 0;
  int error = ok ? 0 : errno;
  if (::close(fd) != 0 && ok) {
    ok = false;
    error = errno;
  }
  if (ok && ::rename(beside.c_str(), path.c_str()) != 0) {
    ok = false;
    error = errno;
  }
  if (!ok) {
    ::unlink(beside.c_str());
    return fail(errno_text(error));
  }
  sync_folder_of(path);
  return {};
}

}  // namespace pvnet::model
