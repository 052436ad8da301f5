// SPDX-License-Identifier: Apache-2.0
// A file that is written as a whole or not at all.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <string>

#include "graph/status.hpp"

namespace pvnet::model {

// What is written goes to a file without a name in the same folder, and replaces `path` when it is
// complete and on the disk: whatever happens, `path` is the whole old file or the whole new one.
//
// A symbolic link stays, and what it points at is replaced. The new file has the permissions, and
// where the system allows it the owner, of the one it replaces; else those of any new file (umask).
// Where the file system knows no files without names, a file `<path>.<pid>.<n>.tmp` is written. Its
// writer holds a lock on it; one that nobody holds was left by a process that died, and is removed
// when the same path is written again.
class WholeFile {
 public:
  // `where` begins the messages.
  static Result<WholeFile> create(const std::string& path, const char* where);
  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&&) = delete;
  WholeFile(const WholeFile&) = delete;
  ~WholeFile() { discard(); }

  int fd() const { return fd_; }  // -1 after commit or discard
  Status write(const void* data, size_t count);
  // Gives the file its name. It is closed, also after a failure, which leaves the old one.
  Status commit();
  void discard();

 private:
  WholeFile() = default;
  Status failure_of(const std::string& got) const;
  int give_name();   // an errno, 0: `beside_` is the name
  int finish();      // an errno, 0: the file is where it belongs
  int keep_owner();  // an errno

  std::string where_, path_;  // as asked for, for messages
  std::string target_;        // what `path_` points at
  std::string beside_;        // the name it has for now, empty: none
  int fd_ = -1;
  bool replaces_ = false;
  struct stat old_ = {};
};

}  // namespace pvnet::model
