// Times as Kubernetes writes them.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace kcni {

/// "2026-11-23T10:53:00Z", with a fraction or an offset if need be; nullopt for anything else.
std::optional<std::chrono::system_clock::time_point> parse_rfc3339(const std::string& text);

/// The time now as "2026-11-23T10:53:00Z".
std::string now_rfc3339();

}  // namespace kcni
