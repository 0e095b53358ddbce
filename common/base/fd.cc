#include "common/base/fd.h"

#include <array>
#include <cerrno>

namespace kcni {

Content read_all(int fd, std::size_t limit) {
  Content content;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count == 0) return content;
    if (count < 0) {
      if (errno == EINTR) continue;
      content.error = errno;
      return content;
    }
    const auto size = static_cast<std::size_t>(count);
    if (content.text.size() + size > limit) {
      content.too_long = true;
      return content;
    }
    content.text.append(buffer.data(), size);
  }
}

}  // namespace kcni
