#include "common/kube/yaml_scalar.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <regex>
#include <string_view>
#include <unordered_map>

namespace kcni::kube {

namespace {

const std::unordered_map<std::string_view, Json>& words() {
  static const std::unordered_map<std::string_view, Json> kWords = [] {
    std::unordered_map<std::string_view, Json> map;
    for (auto word : {"", "~", "null", "Null", "NULL"}) map.emplace(word, nullptr);
    for (auto word : {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}) {
      map.emplace(word, true);
    }
    for (auto word : {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}) {
      map.emplace(word, false);
    }
    return map;
  }();
  return kWords;
}

/// Takes "0x", "0o", "0b" or a leading zero off and says which base it stands for.
int take_base(std::string_view& digits) {
  if (digits.size() < 2 || digits[0] != '0') return 10;
  const char mark = digits[1];
  const bool lettered =
      mark == 'x' || mark == 'X' || mark == 'o' || mark == 'b' || mark == 'O' || mark == 'B';
  digits.remove_prefix(lettered ? 2 : 1);
  if (mark == 'x' || mark == 'X') return 16;
  return mark == 'b' || mark == 'B' ? 2 : 8;
}

std::optional<Json> integer(std::string_view digits) {
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const int base = take_base(digits);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value, base);
  if (error != std::errc{} || end != digits.end() || digits.empty()) return std::nullopt;
  if (!negative) return value <= INT64_MAX ? Json(static_cast<std::int64_t>(value)) : Json(value);
  if (value > std::uint64_t{1} << 63) return std::nullopt;
  return Json(static_cast<std::int64_t>(0 - value));
}

std::optional<Json> real(const std::string& text) {
  static const std::regex kReal(R"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)");
  if (text.size() > 64 || !std::regex_match(text, kReal)) return std::nullopt;
  return Json(std::strtod(text.c_str(), nullptr));
}

bool may_be_number(const std::string& text) {
  return std::string_view("+-.0123456789").find(text.front()) != std::string_view::npos;
}

}  // namespace

Json plain_scalar(const std::string& text) {
  if (auto word = words().find(text); word != words().end()) return word->second;
  if (!may_be_number(text)) return text;
  auto digits = text;
  std::erase(digits, '_');
  if (auto value = integer(digits)) return *value;
  if (auto value = real(digits)) return *value;
  return text;
}

}  // namespace kcni::kube
