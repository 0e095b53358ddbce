#include "common/cli/dispatch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>
#include <system_error>
#include <utility>

#include "common/base/text.h"
#include "common/cli/error_line.h"
#include "common/cli/nearest.h"
#include "common/cli/shared_flags.h"

namespace fs = std::filesystem;

namespace kcni::cli {

namespace {

constexpr std::string_view kPrefix = "kubectl-cni-";

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kCommands{{
    {"label", "Say by a label which CNI a node has, and wait until its pods have followed"},
    {"pin", "Pin workloads to the nodes of one CNI, or take the pins off"},
    {"evict", "Cordon nodes and evict their pods, honouring disruption budgets"},
    {"cleanup", "Remove what flannel left on nodes, over ssh, and prove that nothing is left"},
    {"svc-recreate", "Delete and create Services anew, keeping addresses and ports"},
    {"migrate", "The whole migration from flannel to Cilium, step by step"},
}};

bool is_ours(const std::string& word) {
  return std::any_of(kCommands.begin(), kCommands.end(),
                     [&](const auto& command) { return command.first == word; });
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool is_program(const fs::path& path) {
  return is_file(path) && access(path.c_str(), X_OK) == 0;
}

/// kubectl looks for underscores where the user typed dashes; our files have dashes.
std::vector<std::string> spellings(const std::string& word) {
  std::vector<std::string> result{word, word, word};
  std::replace(result[1].begin(), result[1].end(), '_', '-');
  std::replace(result[2].begin(), result[2].end(), '-', '_');
  return result;
}

/// The flag's name in "--name", "--name=value", "-n", "-nvalue" or "-n=value".
std::string flag_name(const std::string& argument) {
  if (!argument.starts_with("--")) return argument.substr(1, 1);
  return argument.substr(2, argument.find('=') - 2);
}

bool value_is_inside(const std::string& argument) {
  return argument.starts_with("--") ? argument.find('=') != argument.npos : argument.size() > 2;
}

}  // namespace

CommandLine command_first(const std::vector<std::string>& arguments,
                          const cxxopts::Options& known) {
  CommandLine line;
  std::size_t at = 0;
  for (; at < arguments.size(); ++at) {
    const auto& argument = arguments[at];
    if (argument.size() < 2 || argument[0] != '-') break;
    if (argument == "--") throw wrong_usage("the command must come before --");
    const auto* flag = find_flag(known, flag_name(argument));
    if (!flag) {
      throw wrong_usage(fmt::format("unknown flag: {}; flags of a command come after its name",
                                    argument.substr(0, argument.find('='))));
    }
    line.arguments.push_back(argument);
    if (!wants_value(*flag) || value_is_inside(argument)) continue;
    if (++at == arguments.size()) {
      throw wrong_usage(fmt::format("flag needs an argument: {}", argument));
    }
    line.arguments.push_back(arguments[at]);
  }
  if (at == arguments.size()) return line;
  line.word = arguments[at];
  line.arguments.insert(line.arguments.end(), arguments.begin() + static_cast<long>(at) + 1,
                        arguments.end());
  return line;
}

std::vector<std::string> search_directories(const std::string& own, std::string_view path) {
  std::vector<std::string> directories;
  if (!own.empty()) directories.push_back(own);
  for (auto& part : split(path, ':')) {
    const bool known = std::find(directories.begin(), directories.end(), part) != directories.end();
    if (!known) directories.push_back(std::move(part));
  }
  return directories;
}

std::optional<std::string> find_command(const std::vector<std::string>& directories,
                                        const std::string& word) {
  if (word.empty() || word.find('/') != word.npos) return std::nullopt;
  std::string barred;
  for (const auto& directory : directories) {
    for (const auto& spelling : spellings(word)) {
      const auto path = fs::path(directory) / (std::string(kPrefix) + spelling);
      if (is_program(path)) return path.string();
      if (barred.empty() && is_file(path)) barred = path.string();
    }
  }
  if (!barred.empty()) {
    throw failed(fmt::format("cannot run {}: it is not executable; chmod +x helps", barred));
  }
  return std::nullopt;
}

std::vector<std::string> all_commands(const std::vector<std::string>& directories) {
  std::set<std::string> words;
  for (const auto& directory : directories) {
    std::error_code unreadable;
    for (fs::directory_iterator entry(directory, unreadable), end; entry != end;
         entry.increment(unreadable)) {
      const auto name = entry->path().filename().string();
      const bool named = name.size() > kPrefix.size() && name.starts_with(kPrefix);
      if (named && is_program(entry->path())) words.insert(name.substr(kPrefix.size()));
    }
  }
  return {words.begin(), words.end()};
}

std::string overview(const std::string& program, const std::vector<std::string>& found) {
  auto text = fmt::format(
      "Moves a running cluster from flannel to Cilium.\n\nUsage:\n  {} COMMAND [FLAGS]\n\n"
      "Commands:\n",
      program);
  for (const auto& [word, summary] : kCommands) {
    const bool there = std::find(found.begin(), found.end(), word) != found.end();
    text += fmt::format("  {:<14}{}{}\n", word, summary, there ? "" : " (not installed)");
  }
  std::string others;
  for (const auto& word : found) {
    if (!is_ours(word)) others += fmt::format("  {}\n", word);
  }
  if (!others.empty()) text += "\nOther commands that were found:\n" + others;
  return text + fmt::format("\nUse \"{} COMMAND --help\" for more about a command.\n", program);
}

Error unknown_command(const std::string& program, const std::string& word,
                      const std::vector<std::string>& found) {
  auto candidates = found;
  for (const auto& command : kCommands) candidates.emplace_back(command.first);
  const auto nearest = nearest_word(word, candidates);
  // One of ours that is not there is its own nearest.
  if (nearest == word)
    return failed(
        fmt::format("cannot find {}{}: it is not installed beside {} "
                    "nor on PATH",
                    kPrefix, word, "kubectl-cni"));
  return wrong_usage(
      fmt::format("unknown command \"{}\" for \"{}\"{}", word, program,
                  nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest)));
}

namespace {

/// Where we are, with links resolved: krew links only kubectl-cni itself onto PATH.
std::string own_directory(const std::string& argv0) {
  std::error_code error;
  auto self = fs::read_symlink("/proc/self/exe", error);
  if (error && argv0.find('/') != argv0.npos) self = fs::canonical(argv0, error);
  return error ? "" : self.parent_path().string();
}

/// Becomes the program; comes back only to throw.
[[noreturn]] void hand_over(const std::string& path, const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(path.c_str(), argv.data());
  const auto reason = errno == ENOENT ? "the interpreter in its first line does not exist"
                                      : std::generic_category().message(errno);
  throw failed(fmt::format("cannot run {}: {}", path, reason));
}

/// "help label" is "label --help".
CommandLine without_help_word(CommandLine line) {
  if (line.word != "help") return line;
  if (line.arguments.empty()) return {"", {"--help"}};
  return {line.arguments.front(), {"--help"}};
}

bool asks_for_version(const CommandLine& line) {
  const auto& arguments = line.arguments;
  return std::find(arguments.begin(), arguments.end(), "--version") != arguments.end();
}

int dispatch(const std::string& program, const std::string& argv0,
             const std::vector<std::string>& arguments) {
  cxxopts::Options known(program);
  add_common_flags(known, "0");
  add_connection_flags(known);
  const auto line = without_help_word(command_first(arguments, known));
  const char* path = std::getenv("PATH");
  const auto directories = search_directories(own_directory(argv0), path ? path : "");
  if (!line.word.empty()) {
    const auto command = find_command(directories, line.word);
    if (!command) throw unknown_command(program, line.word, all_commands(directories));
    hand_over(*command, line.arguments);
  }
  std::cout << (asks_for_version(line) ? fmt::format("kubectl-cni {}\n", KCNI_VERSION)
                                       : overview(program, all_commands(directories)))
            << std::flush;
  if (!std::cout) throw failed("cannot write to standard output");
  return 0;
}

}  // namespace

int run_dispatcher(int argc, char** argv) {
  const std::string argv0 = argc > 0 ? argv[0] : "";
  // kubectl starts a plugin by its whole path; who types our name leaves that out.
  const std::string program = argv0.find('/') == argv0.npos ? "kubectl-cni" : "kubectl cni";
  try {
    return dispatch(program, argv0, {argv + std::min(argc, 1), argv + argc});
  } catch (const Error& error) {
    std::cerr << error_line(error) << std::endl;
    if (error.status() == ExitStatus::kUsage) {
      std::cerr << fmt::format("See '{} --help' for usage.", program) << std::endl;
    }
    return static_cast<int>(error.status());
  }
}

}  // namespace kcni::cli
