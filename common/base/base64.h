// Base64 (RFC 4648, the standard alphabet with padding), as Kubernetes writes binary data.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kcni {

std::string base64_encode(std::string_view bytes);

/// The bytes, or nullopt when the text is not base64. White space is skipped (folded YAML scalars
/// have it); padding is required.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace kcni
