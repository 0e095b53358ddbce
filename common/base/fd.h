// The one owner of a file descriptor.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <string>
#include <utility>

namespace kcni {

class Fd {
 public:
  Fd() = default;
  /// Takes what open() and its like return; a negative one means there is none.
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

/// What read_all() got: all of it unless `error` (an errno) or `too_long` says otherwise.
struct Content {
  std::string text;
  int error = 0;
  bool too_long = false;
};

/// Reads until the end of a file, pipe or socket, at most `limit` bytes. Blocks.
Content read_all(int fd, std::size_t limit);

}  // namespace kcni
