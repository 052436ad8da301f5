// SPDX-License-Identifier: Apache-2.0
#include "model/whole_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <utility>

#include "model/errors.hpp"
#include "model/file_io.hpp"

namespace pvnet::model {
namespace {

constexpr int kNewFile = 0666;  // the umask of the process counts, as for any file
constexpr int kAttempts = 100;

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// What `path` points at through symbolic links, also where there is nothing yet.
int follow(const std::string& path, std::string* target) {
  constexpr int kMostLinks = 40;
  *target = path;
  for (int i = 0; i < kMostLinks; ++i) {
    char text[4096];
    const ssize_t n = ::readlink(target->c_str(), text, sizeof(text));
    if (n < 0) return 0;  // no link, or nothing there
    if (n == static_cast<ssize_t>(sizeof(text))) return ENAMETOOLONG;
    const std::string to(text, static_cast<size_t>(n));
    *target = to.front() == '/' ? to : folder_of(*target) + to;
  }
  return ELOOP;
}

std::string next_name(const std::string& target) {
  static std::atomic<unsigned> serial{0};
  return target + "." + std::to_string(::getpid()) + "." + std::to_string(++serial) + ".tmp";
}

// <base>.<digits>.<digits>.tmp
bool is_temporary_of(const std::string& base, const std::string& name) {
  const std::string end = ".tmp";
  if (name.size() <= base.size() + end.size() || name.compare(0, base.size(), base) != 0 ||
      name.compare(name.size() - end.size(), end.size(), end) != 0) {
    return false;
  }
  const std::string middle = name.substr(base.size(), name.size() - base.size() - end.size());
  int dots = 0, digits = 0;
  for (const char c : middle) {
    if (c == '.') {
      if (digits == 0 && dots > 0) return false;
      ++dots, digits = 0;
    } else if (c >= '0' && c <= '9') {
      ++digits;
    } else {
      return false;
    }
  }
  return middle.front() == '.' && dots == 2 && digits > 0;
}

// Removes what writers of `target` left behind that were killed: a living one holds a lock.
void sweep(const std::string& target) {
  const std::string folder = folder_of(target), base = name_of(target);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (entries == nullptr) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    if (!is_temporary_of(base, entry->d_name)) continue;
    const std::string path = folder + entry->d_name;
    const int fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    struct stat info{};
    if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && ::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      ::unlink(path.c_str());
    }
    ::close(fd);
  }
}

void lock(int fd) {
  while (::flock(fd, LOCK_EX) != 0 && errno == EINTR) {
  }  // a file system without locks: then nobody else takes one to remove the file either
}

int open_unnamed(const std::string& target) {
#ifdef O_TMPFILE
  const int fd = ::open(folder_of(target).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kNewFile);
  if (fd >= 0) lock(fd);
  return fd;
#else
  (void)target;
  return -1;
#endif
}

int open_named(const std::string& target, std::string* beside) {
  for (int i = 0; i < kAttempts; ++i) {
    *beside = next_name(target);
    const int fd = ::open(beside->c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kNewFile);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) break;
    lock(fd);
    struct stat info{};
    if (::fstat(fd, &info) == 0 && info.st_nlink > 0) return fd;
    ::close(fd);  // another process took it for left behind before it was locked
    errno = EEXIST;
  }
  beside->clear();
  return -1;
}

int link_as(int fd, const std::string& path) {
  const std::string source = "/proc/self/fd/" + std::to_string(fd);
  const int r = ::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
  return r == 0 ? 0 : errno;
}

int write_all(int fd, const void* data, size_t left) {
  const auto* p = static_cast<const unsigned char*>(data);
  while (left > 0) {
    const ssize_t n = ::write(fd, p, std::min(left, kMaxTransfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    p += n;
    left -= static_cast<size_t>(n);
  }
  return 0;
}

int copy_all(int from, int to) {
  char buffer[1 << 16];
  off_t at = 0;
  while (true) {
    const ssize_t n = ::pread(from, buffer, sizeof(buffer), at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : 0;
    if (const int error = write_all(to, buffer, static_cast<size_t>(n))) return error;
    at += n;
  }
}

void sync_folder_of(const std::string& path) {
  const int fd = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)::fsync(fd);  // the file is in place; some file systems cannot sync a folder
  ::close(fd);
}

}  // namespace

Status WholeFile::failure_of(const std::string& got) const {
  return failure(Code::file, where_.c_str(), quoted(path_) + " cannot be written", got,
                 "a path in a writable folder", "Check the folder, its permissions and free space");
}

WholeFile::WholeFile(WholeFile&& other) noexcept
    : where_(std::move(other.where_)),
      path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      beside_(std::move(other.beside_)),
      fd_(std::exchange(other.fd_, -1)),
      replaces_(other.replaces_),
      old_(other.old_) {}

Result<WholeFile> WholeFile::create(const std::string& path, const char* where) {
  WholeFile file;
  file.where_ = where;
  file.path_ = path;
  if (path.empty() || path.find('\0') != std::string::npos) return file.failure_of("no file name");
  if (const int error = follow(path, &file.target_)) return file.failure_of(errno_text(error));
  file.replaces_ = ::stat(file.target_.c_str(), &file.old_) == 0;
  if (file.replaces_ && !S_ISREG(file.old_.st_mode)) {
    return file.failure_of("something that is not a regular file");
  }
  // A rename asks the folder only: a file that is write-protected would be lost without a word.
  if (file.replaces_ && ::faccessat(AT_FDCWD, file.target_.c_str(), W_OK, AT_EACCESS) != 0) {
    return file.failure_of(errno_text(errno));
  }
  sweep(file.target_);
  file.fd_ = open_unnamed(file.target_);
  if (file.fd_ < 0) file.fd_ = open_named(file.target_, &file.beside_);
  if (file.fd_ < 0) return file.failure_of(errno_text(errno));
  return Result<WholeFile>(std::move(file));
}

Status WholeFile::write(const void* data, size_t count) {
  const int error = write_all(fd_, data, count);
  return error == 0 ? Status() : failure_of(errno_text(error));
}

// The group and others get no more than they had. Only root may give a file away.
int WholeFile::keep_owner() {
  if (!replaces_) return 0;
  mode_t mode = old_.st_mode & 07777;
  const bool owner = ::fchown(fd_, old_.st_uid, old_.st_gid) == 0;
  if (!owner && ::fchown(fd_, static_cast<uid_t>(-1), old_.st_gid) != 0) {
    mode = (mode & ~static_cast<mode_t>(06070)) | ((mode & 0007) << 3);
  } else if (!owner) {
    mode &= ~static_cast<mode_t>(04000);
  }
  return ::fchmod(fd_, mode) == 0 ? 0 : errno;
}

int WholeFile::give_name() {
  for (int i = 0; i < kAttempts; ++i) {
    beside_ = next_name(target_);
    const int error = link_as(fd_, beside_);
    if (error == 0) return 0;
    if (error != EEXIST) break;
  }
  // No /proc, or a file system that makes such files but gives them no names.
  const int named = open_named(target_, &beside_);
  if (named < 0) return errno;
  const int error = copy_all(fd_, named);
  ::close(std::exchange(fd_, named));
  return error;
}

int WholeFile::finish() {
  if (const int error = keep_owner()) return error;
  if (::fsync(fd_) != 0) return errno;
  if (beside_.empty()) {
    if (!replaces_ && link_as(fd_, target_) == 0) return 0;
    const int unnamed = fd_;
    if (const int error = give_name()) return error;
    if (fd_ != unnamed) {  // a copy
      if (const int error = keep_owner()) return error;
      if (::fsync(fd_) != 0) return errno;
    }
  }
  if (::rename(beside_.c_str(), target_.c_str()) != 0) return errno;
  beside_.clear();
  return 0;
}

Status WholeFile::commit() {
  if (fd_ < 0) return failure_of("a file that is written already");
  const int error = finish();
  discard();  // the lock goes last
  if (error != 0) return failure_of(errno_text(error));
  sync_folder_of(target_);
  return {};
}

void WholeFile::discard() {
  if (!beside_.empty()) ::unlink(beside_.c_str());
  beside_.clear();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace pvnet::model
