#include "common/base/duration.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "common/base/error.h"

namespace kcni {

namespace {

constexpr std::array<std::pair<std::string_view, double>, 4> kUnits{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};

// The factor of the unit that text starts with, which is taken off; 0 when there is none.
double take_unit(std::string_view& text) {
  for (const auto& [name, factor] : kUnits) {
    // "m" must not take the m of "ms", which stands first in the table.
    if (text.substr(0, name.size()) != name) continue;
    text.remove_prefix(name.size());
    return factor;
  }
  return 0;
}

}  // namespace

std::chrono::milliseconds parse_duration(const std::string& flag, std::string_view text) {
  auto wrong = [&] {
    return wrong_usage(
        fmt::format("invalid value \"{}\" for {}: want a duration such as 30s, 5m or 1h30m; 0 means "
                    "no limit",
                    text, flag));
  };
  std::string_view rest = text;
  double total = 0;
  bool bare = true;
  if (rest.empty()) throw wrong();
  while (!rest.empty()) {
    double number = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number,
                                        std::chars_format::fixed);
    if (error != std::errc() || number < 0) throw wrong();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (rest.empty() && bare) return std::chrono::milliseconds(static_cast<long>(number * 1000));
    double factor = take_unit(rest);
    if (factor == 0) throw wrong();
    bare = false;
    total += number * factor;
  }
  return std::chrono::milliseconds(static_cast<long>(total));
}

std::string show_duration(std::chrono::milliseconds duration) {
  auto seconds = (duration.count() + 500) / 1000;
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

}  // namespace kcni
