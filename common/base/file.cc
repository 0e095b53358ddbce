#include "common/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "common/base/error.h"
#include "common/base/fd.h"

namespace kcni {

namespace {

Error cannot_read(const std::string& path, std::string_view role, const std::string& reason) {
  return failed(fmt::format("cannot read {}{}{}: {}", role, role.empty() ? "" : " ", path, reason));
}

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

}  // namespace

std::optional<std::string> read_file_if_exists(const std::string& path, std::string_view role) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!file) throw cannot_read(path, role, reason_of(errno));
  auto content = read_all(file.get(), kMaxFileSize);
  if (content.error != 0) throw cannot_read(path, role, reason_of(content.error));
  if (content.too_long) {
    throw cannot_read(path, role, fmt::format("larger than {} MiB", kMaxFileSize >> 20));
  }
  return std::move(content.text);
}

std::string read_file(const std::string& path, std::string_view role) {
  auto text = read_file_if_exists(path, role);
  if (!text) throw cannot_read(path, role, reason_of(ENOENT));
  return *std::move(text);
}

std::string resolve_path(const std::string& path, const std::string& directory) {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path(directory) / path).lexically_normal().string();
}

std::string directory_of(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().parent_path().string();
}

}  // namespace kcni
