// `kubectl cni WORD`: finding kubectl-cni-WORD and handing over to it.
#pragma once

#include <cxxopts.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace kcni::cli {

/// A command line with the command word first.
struct CommandLine {
  std::string word;                    ///< "" when there is none
  std::vector<std::string> arguments;  ///< the flags that stood before the word come first
};

/// kubectl wants a plugin's flags behind its name, so `kubectl --context c cni label` cannot be and
/// `kubectl cni --context c label` is what people write. known has the flags that may stand there.
/// Throws Error (kUsage) for others: whether the next argument is their value or the word,
/// only the command knows.
CommandLine command_first(const std::vector<std::string>& arguments, const cxxopts::Options& known);

/// Our own directory (unless it is empty), then those of PATH; never the current one by an empty
/// part of PATH.
std::vector<std::string> search_directories(const std::string& own, std::string_view path);

/// The program of a word in the first directory that has it. "svc_recreate", as kubectl spells it,
/// is svc-recreate as well. Nullopt when there is none; throws Error (kFailed) when there
/// are only files that cannot be executed.
std::optional<std::string> find_command(const std::vector<std::string>& directories,
                                        const std::string& word);

/// The words of all programs kubectl-cni-* there, sorted.
std::vector<std::string> all_commands(const std::vector<std::string>& directories);

/// What `kubectl cni` alone prints: our commands with a line each, and others that were found.
std::string overview(const std::string& program, const std::vector<std::string>& found);

Error unknown_command(const std::string& program, const std::string& word,
                      const std::vector<std::string>& found);

/// main() of kubectl-cni. Does not return when it hands over.
int run_dispatcher(int argc, char** argv);

}  // namespace kcni::cli
