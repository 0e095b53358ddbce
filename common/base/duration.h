// kubectl's durations: Go's time.ParseDuration, and bare seconds.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace kcni {

/// "300ms", "30s", "5m", "1h30m", "1.5h", "0", and, as kubectl's --request-timeout has it, "45" for
/// 45 seconds. Throws Error (kUsage) that names the flag.
std::chrono::milliseconds parse_duration(const std::string& flag, std::string_view text);

/// "1m05s", "12s", "2h03m": for people.
std::string show_duration(std::chrono::milliseconds duration);

}  // namespace kcni
