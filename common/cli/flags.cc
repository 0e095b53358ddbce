#include "common/cli/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "common/base/duration.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/cli/nearest.h"

namespace kcni::cli {

namespace {

std::string variable_of(const std::string& flag) {
  std::string name = "KUBECTL_CNI_" + flag;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c == '-' ? '_' : static_cast<char>(std::toupper(c));
  });
  return name;
}

std::string nearest_flag(const cxxopts::Options& options, const std::string& wrong) {
  std::vector<std::string> names;
  for (const auto& group : options.groups()) {
    for (const auto& option : options.group_help(group).options) {
      names.insert(names.end(), option.l.begin(), option.l.end());
    }
  }
  return nearest_word(wrong, names);
}

// cxxopts quotes names in typographic quotes inside its messages; this takes the name out.
std::string quoted_name(const std::string& message) {
  constexpr std::string_view kOpen = "\u2018", kClose = "\u2019";
  auto start = message.find(kOpen);
  auto end = message.find(kClose);
  if (start == std::string::npos || end == std::string::npos) return message;
  start += kOpen.size();
  return message.substr(start, end - start);
}

Error unknown_flag(const cxxopts::Options& options, const std::string& name) {
  auto nearest = nearest_flag(options, name);
  auto dashes = name.size() == 1 ? "-" : "--";
  return wrong_usage(fmt::format("unknown flag: {}{}{}", dashes, name,
                                 nearest.empty() ? "" : "; did you mean --" + nearest + "?"));
}

}  // namespace

Flags::Flags(const cxxopts::ParseResult& parsed, kube::Environment environment)
    : parsed_(parsed), environment_(std::move(environment)) {
  if (parsed_.count("args")) args_ = parsed_["args"].as<std::vector<std::string>>();
}

std::optional<std::string> Flags::from_environment(const std::string& name) const {
  return environment_(variable_of(name));
}

bool Flags::given(const std::string& name) const {
  return parsed_.count(name) > 0 || from_environment(name);
}

std::string Flags::text(const std::string& name) const {
  if (parsed_.count(name)) return parsed_[name].as<std::string>();
  if (auto value = from_environment(name)) return *value;
  try {
    const auto& value = parsed_[name];
    return value.has_default() ? value.as<std::string>() : "";
  } catch (const cxxopts::exceptions::exception&) {
    return "";
  }
}

std::optional<std::string> Flags::optional_text(const std::string& name) const {
  if (!given(name)) return std::nullopt;
  return text(name);
}

bool Flags::flag(const std::string& name) const {
  if (parsed_.count(name)) return parsed_[name].as<bool>();
  auto value = from_environment(name);
  if (!value || *value == "false" || *value == "0" || value->empty()) return false;
  if (*value == "true" || *value == "1") return true;
  throw wrong_usage(
      fmt::format("invalid value \"{}\" for {}: want true or false", *value, variable_of(name)));
}

int Flags::number(const std::string& name, int lowest) const {
  std::string value = text(name);
  int result = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size() || result < lowest) {
    throw wrong_usage(fmt::format(
        "invalid value \"{}\" for --{}: want a whole number of at least {}", value, name, lowest));
  }
  return result;
}

std::chrono::milliseconds Flags::duration(const std::string& name) const {
  return parse_duration("--" + name, text(name));
}

std::vector<std::string> Flags::list(const std::string& name) const {
  if (parsed_.count(name)) return parsed_[name].as<std::vector<std::string>>();
  if (auto value = from_environment(name)) return split(*value, ',');
  return {};
}

std::vector<std::string> normalize_arguments(const std::vector<std::string>& arguments) {
  std::vector<std::string> result;
  bool flags_ended = false;
  for (const auto& argument : arguments) {
    flags_ended |= argument == "--";
    bool single_dash = argument.size() > 2 && argument[0] == '-' && argument[1] != '-';
    if (!flags_ended && single_dash && argument[2] == '=') {
      result.push_back(argument.substr(0, 2) + argument.substr(3));
    } else if (!flags_ended && argument.starts_with("--v=")) {
      result.push_back("-v" + argument.substr(4));
    } else if (!flags_ended && argument == "--v") {
      result.push_back("-v");
    } else {
      result.push_back(argument);
    }
  }
  return result;
}

Flags parse_flags(cxxopts::Options& options, const std::vector<std::string>& arguments,
                  kube::Environment environment) {
  auto normalized = normalize_arguments(arguments);
  std::vector<const char*> argv{"kubectl-cni"};
  for (const auto& argument : normalized) argv.push_back(argument.c_str());
  try {
    auto parsed = options.parse(static_cast<int>(argv.size()), argv.data());
    return {parsed, std::move(environment)};
  } catch (const cxxopts::exceptions::no_such_option& error) {
    throw unknown_flag(options, quoted_name(error.what()));
  } catch (const cxxopts::exceptions::missing_argument& error) {
    throw wrong_usage(fmt::format("flag needs an argument: --{}", quoted_name(error.what())));
  } catch (const cxxopts::exceptions::exception& error) {
    throw wrong_usage(error.what());
  }
}

}  // namespace kcni::cli
