#include "common/kube/label_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "common/base/error.h"

namespace kcni::kube {

namespace {

constexpr std::size_t kLongestName = 63;
constexpr std::size_t kLongestPrefix = 253;

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool well_formed(std::string_view name, std::string_view inside) {
  if (name.empty() || !letter_or_digit(name.front()) || !letter_or_digit(name.back())) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return letter_or_digit(c) || inside.find(c) != std::string_view::npos;
  });
}

bool is_name(std::string_view name) {
  return name.size() <= kLongestName && well_formed(name, "-_.");
}

bool is_domain(std::string_view prefix) {
  bool lower =
      std::none_of(prefix.begin(), prefix.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  return lower && prefix.size() <= kLongestPrefix && well_formed(prefix, "-.");
}

}  // namespace

void check_label_key(const std::string& flag, const std::string& key) {
  auto slash = key.find('/');
  bool good = slash == std::string::npos
                  ? is_name(key)
                  : is_domain(key.substr(0, slash)) && is_name(key.substr(slash + 1));
  if (good) return;
  throw wrong_usage(fmt::format(
      "{}: \"{}\" is no label key: want a name such as cni or example.com/cni", flag, key));
}

void check_label_value(const std::string& flag, const std::string& value) {
  if (is_name(value)) return;
  throw wrong_usage(fmt::format(
      "{}: \"{}\" is no label value: want up to 63 letters, digits, '-', '_' and '.', a letter or "
      "digit first and last",
      flag, value));
}

}  // namespace kcni::kube
