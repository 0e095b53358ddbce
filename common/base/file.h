// Reading whole files.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kcni {

/// More than any kubeconfig, certificate or token has; what is larger is a mistake.
inline constexpr std::size_t kMaxFileSize = std::size_t{10} << 20;

/// The whole file (or pipe, such as a shell's <(…)). `role` says what it is for in the message:
/// "cannot read <role> <path>: <reason>"; it may be empty. Throws Error (kFailed) when it cannot be
/// read or holds more than kMaxFileSize bytes; nothing of the contents is in the message.
std::string read_file(const std::string& path, std::string_view role = "");

/// The same, but nullopt when there is no such file.
std::optional<std::string> read_file_if_exists(const std::string& path, std::string_view role = "");

/// The path made absolute against a directory; an empty or absolute one is left as it is.
std::string resolve_path(const std::string& path, const std::string& directory);

/// The absolute directory that a file is in.
std::string directory_of(const std::string& path);

}  // namespace kcni
