#include "common/kube/credentials_exec.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "common/base/error.h"

namespace kcni::kube {

namespace {

/// Many requests in flight get their 401s one after another: for that long after the plugin ran
/// anew, a 401 is taken to be for what it had said before.
constexpr auto kSettling = std::chrono::seconds(10);

/// Somebody else's text as part of a line of ours: no line breaks, no escape sequences.
std::string one_line(const std::string& text) {
  std::string line;
  for (char c : text) {
    const bool blank = (c >= 0 && c <= 0x20) || c == 0x7f;
    if (!blank) line += c;
    if (blank && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace

bool ExecCredentials::Seams::default_stdin_is_terminal() {
  return isatty(STDIN_FILENO) == 1;
}

ExecCredentials::ExecCredentials(ExecPlugin plugin, ExecCluster cluster, std::string whose)
    : ExecCredentials(std::move(plugin), std::move(cluster), std::move(whose), Seams{}) {}

ExecCredentials::ExecCredentials(ExecPlugin plugin, ExecCluster cluster, std::string whose,
                                 Seams seams)
    : plugin_(std::move(plugin)),
      cluster_(std::move(cluster)),
      whose_(std::move(whose)),
      seams_(std::move(seams)) {}

std::optional<std::string> ExecCredentials::bearer_token() {
  return current().token;
}

std::optional<CertificatePair> ExecCredentials::client_certificate() {
  return current().certificate;
}

bool ExecCredentials::refresh() {
  if (refreshed_at_ && seams_.now() - *refreshed_at_ < kSettling) return true;
  cached_.reset();
  refreshing_ = true;
  return true;
}

const ExecCredential& ExecCredentials::current() {
  const bool expired = cached_ && cached_->expires && seams_.now() > *cached_->expires;
  if (!cached_ || expired) {
    cached_ = run_plugin();
    if (std::exchange(refreshing_, false)) refreshed_at_ = seams_.now();
  }
  return *cached_;
}

Error ExecCredentials::problem(const std::string& what) const {
  return failed(fmt::format("exec plugin {} of {}: {}", plugin_.command, whose_, what));
}

bool ExecCredentials::interactive() const {
  if (plugin_.interactive_mode == InteractiveMode::kNever) return false;
  const bool terminal = seams_.stdin_is_terminal();
  if (!terminal && plugin_.interactive_mode == InteractiveMode::kAlways) {
    throw problem("it must ask for input, and standard input is not a terminal");
  }
  return terminal;
}

Command ExecCredentials::command() const {
  Command command;
  command.inherit_stdin = interactive();
  command.argv = {plugin_.command};
  command.argv.insert(command.argv.end(), plugin_.args.begin(), plugin_.args.end());
  command.env = plugin_.env;
  command.env.push_back("KUBERNETES_EXEC_INFO=" +
                        exec_info(plugin_, cluster_, command.inherit_stdin));
  return command;
}

Error ExecCredentials::run_problem(const ProcessResult& result) const {
  if (result.start_error == ENOENT) {
    const auto hint = one_line(plugin_.install_hint);
    return problem(fmt::format("executable not found{}{}", hint.empty() ? "" : ": ", hint));
  }
  if (result.start_error != 0) {
    return problem(std::generic_category().message(result.start_error));
  }
  if (result.output_too_long) return problem("the plugin printed too much");
  if (result.signal != 0) return problem(fmt::format("killed by signal {}", result.signal));
  return problem(fmt::format("failed with exit code {}", result.exit_code));
}

ExecCredential ExecCredentials::run_plugin() const {
  const auto result = seams_.run(command());
  if (!result.succeeded()) throw run_problem(result);
  try {
    return parse_exec_credential(result.output, plugin_.api_version);
  } catch (const Error& error) {
    throw problem(error.what());
  }
}

}  // namespace kcni::kube
