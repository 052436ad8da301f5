// SPDX-License-Identifier: Apache-2.0
// Files that are written as a whole, on file systems that can do less than this one.
#include "model/whole_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <filesystem>

#include "check.hpp"
#include "model_fixture.hpp"

using namespace pvnet;
using model::WholeFile;

namespace {
bool no_unnamed = false, no_names = false;
long room = -1;  // bytes that may still be written, -1: any number
}  // namespace

extern "C" {
int __real_open(const char* path, int flags, ...);
int __real_linkat(int from, const char* a, int to, const char* b, int flags);
ssize_t __real_write(int fd, const void* data, size_t n);

int __wrap_open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  if (no_unnamed && (flags & O_TMPFILE) == O_TMPFILE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return __real_open(path, flags, mode);
}
int __wrap_linkat(int from, const char* a, int to, const char* b, int flags) {
  if (no_names) {
    errno = ENOENT;
    return -1;
  }
  return __real_linkat(from, a, to, b, flags);
}
ssize_t __wrap_write(int fd, const void* data, size_t n) {
  if (room < 0) return __real_write(fd, data, n);
  if (room == 0) {
    errno = ENOSPC;
    return -1;
  }
  if (n > static_cast<size_t>(room)) n = static_cast<size_t>(room);
  room -= static_cast<long>(n);
  return __real_write(fd, data, n);
}
}

namespace {

// The file systems of these tests.
template <class F>
void on_every_system(const F& f) {
  for (const int system : {0, 1, 2}) {
    no_unnamed = system == 1, no_names = system == 2;
    f();
  }
  no_unnamed = no_names = false;
}

Status put(const std::string& path, const std::string& text) {
  Result<WholeFile> file = WholeFile::create(path, "test");
  if (!file.ok()) return file.status();
  if (Status s = file.value().write(text.data(), text.size()); !s.ok()) return s;
  return file.value().commit();
}

bool readable(const Status& s) {
  const std::string& m = s.message();
  return m.find("[test] ") == 0 && m.find(": got ") != std::string::npos &&
         m.find(", expected ") != std::string::npos && m.back() == '.';
}

mode_t mode_of(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

}  // namespace

TEST(a_file_is_new_or_old_on_every_file_system) {
  on_every_system([] {
    const fixture::TempFolder folder;
    const std::string path = folder.file("m");
    const mode_t mask = ::umask(027);
    CHECK(put(path, "one").ok());
    ::umask(mask);
    CHECK_EQ(mode_of(path), mode_t{0640});
    CHECK_EQ(::chmod(path.c_str(), 0604), 0);
    const std::string large(200000, 'x');
    CHECK(put(path, large).ok());
    CHECK_EQ(fixture::read_bytes(path), large);
    CHECK_EQ(mode_of(path), mode_t{0604});
    CHECK_EQ(folder.entries(), size_t{1});
    room = 1000;
    const Status full = put(path, large);
    room = -1;
    CHECK(!full.ok() && full.code() == Code::file && readable(full));
    CHECK_EQ(fixture::read_bytes(path), large);
    CHECK_EQ(folder.entries(), size_t{1});
    {
      Result<WholeFile> file = WholeFile::create(path, "test");
      CHECK(file.ok() && file.value().write("x", 1).ok());
    }
    CHECK_EQ(fixture::read_bytes(path), large);
    CHECK_EQ(folder.entries(), size_t{1});
  });
}

TEST(a_link_stays_a_link_on_every_file_system) {
  on_every_system([] {
    const fixture::TempFolder folder;
    std::filesystem::create_directories(folder.file("real"));
    std::filesystem::create_symlink("real/m", folder.file("second"));
    std::filesystem::create_symlink("second", folder.file("first"));
    for (const char* text : {"one", "two"}) {  // the first one makes what the links point at
      CHECK(put(folder.file("first"), text).ok());
      CHECK_EQ(fixture::read_bytes(folder.file("real/m")), std::string(text));
      CHECK(std::filesystem::is_symlink(folder.file("first")));
      CHECK(std::filesystem::is_symlink(folder.file("second")));
    }
    CHECK_EQ(folder.entries(), size_t{3});
    std::filesystem::create_symlink("loop", folder.file("loop"));
    CHECK(!put(folder.file("loop"), "x").ok());
    CHECK(std::filesystem::is_symlink(folder.file("loop")));
  });
}

TEST(a_writer_that_is_killed_leaves_nothing_that_stays) {
  on_every_system([] {
    const fixture::TempFolder folder;
    const std::string path = folder.file("m");
    CHECK(put(path, "old").ok());
    const pid_t child = ::fork();
    if (child == 0) {
      Result<WholeFile> file = WholeFile::create(path, "test");
      if (file.ok()) (void)file.value().write("half", 4);
      ::_exit(0);  // no destructor, as killed
    }
    int status = 0;
    CHECK_EQ(::waitpid(child, &status, 0), child);
    CHECK_EQ(fixture::read_bytes(path), std::string("old"));
    CHECK_EQ(folder.entries(), no_unnamed ? size_t{2} : size_t{1});
    CHECK(put(path, "new").ok());
    CHECK_EQ(folder.entries(), size_t{1});
  });
}

TEST(a_living_writer_and_other_files_are_left_alone) {
  on_every_system([] {
    const fixture::TempFolder folder;
    const std::string path = folder.file("m");
    for (const char* name : {"m.1.1.tmpx", "m.tmp", "m.1.tmp", "m.1.x.tmp", "xm.1.1.tmp",
                             "m2.1.1.tmp", "m.1..tmp", "m..1.tmp", "m.1.1.1.tmp"}) {
      fixture::write_bytes(folder.file(name), "x");
    }
    const size_t others = folder.entries();
    fixture::write_bytes(folder.file("m.999.1.tmp"), "left behind");
    fixture::write_bytes(folder.file("m.999.2.tmp"), "of a living one");
    const int held = ::open(folder.file("m.999.2.tmp").c_str(), O_RDONLY);
    CHECK_EQ(::flock(held, LOCK_EX), 0);
    Result<WholeFile> first = WholeFile::create(path, "test");
    Result<WholeFile> second = WholeFile::create(path, "test");
    CHECK(first.ok() && second.ok());
    CHECK(first.value().write("1", 1).ok() && second.value().write("2", 1).ok());
    CHECK(second.value().commit().ok());
    CHECK(first.value().commit().ok());
    CHECK(!first.value().commit().ok());
    CHECK_EQ(fixture::read_bytes(path), std::string("1"));
    CHECK_EQ(folder.entries(), others + 2);
    CHECK(std::filesystem::exists(folder.file("m.999.2.tmp")));
    ::close(held);
  });
}

TEST(what_is_no_file_is_refused) {
  const fixture::TempFolder folder;
  for (const std::string& p :
       {std::string("/dev/null"), folder.file(""), folder.file("none/m"), std::string()}) {
    const Status s = put(p, "x");
    CHECK(!s.ok() && s.code() == Code::file && readable(s));
  }
  CHECK_EQ(folder.entries(), size_t{0});
}
