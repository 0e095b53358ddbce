#include "common/base/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "common/base/error.h"

namespace kcni {

namespace {

constexpr std::array<std::pair<std::string_view, double>, 7> kUnits{{{"ns", 1e-6},
                                                                     {"us", 1e-3},
                                                                     {"\u00b5s", 1e-3},
                                                                     {"ms", 1},
                                                                     {"s", 1000},
                                                                     {"m", 60'000},
                                                                     {"h", 3'600'000}}};

constexpr double kLongest = 1e12;  // 31 years: far from where a clock would overflow

// Rounded, but never down to 0, which would mean no limit.
std::chrono::milliseconds milliseconds_of(double count) {
  return std::chrono::milliseconds(count > 0 ? std::max(1LL, std::llround(count)) : 0);
}

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
    return wrong_usage(fmt::format(
        "invalid value \"{}\" for {}: want a duration such as 30s, 5m or 1h30m; 0 means "
        "no limit",
        text, flag));
  };
  std::string_view rest = text;
  double total = 0;
  bool bare = true;
  if (rest.empty()) throw wrong();
  while (!rest.empty()) {
    double number = 0;
    auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || !(number >= 0 && number < kLongest)) throw wrong();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (rest.empty() && bare) {
      total = number * 1000;
      break;
    }
    double factor = take_unit(rest);
    if (factor == 0) throw wrong();
    bare = false;
    total += number * factor;
  }
  if (total > kLongest) throw wrong();
  return milliseconds_of(total);
}

std::string show_duration(std::chrono::milliseconds duration) {
  auto seconds = (duration.count() + 500) / 1000;
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

}  // namespace kcni
