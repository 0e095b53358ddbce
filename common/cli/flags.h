// A command's flags: cxxopts, made to behave as kubectl's pflag does.
#pragma once

#include <chrono>
#include <cxxopts.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/kube/config.h"

namespace kcni::cli {

/// The parsed command line. A flag that is not given is looked up as KUBECTL_CNI_<FLAG> (--ssh-key:
/// KUBECTL_CNI_SSH_KEY); a flag beats its variable.
class Flags {
 public:
  Flags(const cxxopts::ParseResult& parsed, kube::Environment environment);

  /// On the command line or by its variable.
  bool given(const std::string& name) const;
  /// The value, or "" when not given and without default.
  std::string text(const std::string& name) const;
  std::optional<std::string> optional_text(const std::string& name) const;
  bool flag(const std::string& name) const;
  /// Throws Error (kUsage) unless it is a whole number of at least lowest.
  int number(const std::string& name, int lowest = 0) const;
  std::chrono::milliseconds duration(const std::string& name) const;
  /// A repeatable flag's values; from a variable: split at commas.
  std::vector<std::string> list(const std::string& name) const;

  const std::vector<std::string>& args() const { return args_; }

 private:
  std::optional<std::string> from_environment(const std::string& name) const;

  cxxopts::ParseResult parsed_;
  kube::Environment environment_;
  std::vector<std::string> args_;
};

/// kubectl's spelling for cxxopts: "-n=x" becomes "-nx", "--v=6" becomes "-v6".
std::vector<std::string> normalize_arguments(const std::vector<std::string>& arguments);

/// Parses what follows the program's name. Throws Error (kUsage) with kubectl's wording and, for a
/// misspelt flag, the nearest one there is.
Flags parse_flags(cxxopts::Options& options, const std::vector<std::string>& arguments,
                  kube::Environment environment);

}  // namespace kcni::cli
