#include "common/cli/command.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "common/base/duration.h"
#include "common/base/text.h"
#include "common/cli/shared_flags.h"
#include "common/kube/label_syntax.h"

namespace kcni::cli {

namespace {

constexpr Milliseconds kLongestSilence{30'000};
constexpr Milliseconds kBetweenWaits{5'000};
// After Ctrl-C nothing is said when the end comes within this time.
constexpr Milliseconds kPromptEnd{1'000};

DryRun parse_dry_run(const std::string& value) {
  if (value == "none" || value == "false") return DryRun::kNone;
  if (value == "client" || value == "true" || value.empty()) return DryRun::kClient;
  if (value == "server") return DryRun::kServer;
  throw wrong_usage(fmt::format(
      "invalid dry-run value (\"{}\"): must be \"none\", \"server\", or \"client\"", value));
}

const char* suffix_of(DryRun dry_run) {
  switch (dry_run) {
    case DryRun::kClient:
      return " (dry run)";
    case DryRun::kServer:
      return " (server dry run)";
    case DryRun::kNone:
      break;
  }
  return "";
}

kube::ConfigOverrides overrides_from(const Flags& flags) {
  kube::ConfigOverrides overrides;
  overrides.kubeconfig = flags.optional_text("kubeconfig");
  overrides.context = flags.optional_text("context");
  overrides.cluster = flags.optional_text("cluster");
  overrides.user = flags.optional_text("user");
  overrides.namespace_ = flags.optional_text("namespace");
  overrides.server = flags.optional_text("server");
  overrides.token = flags.optional_text("token");
  overrides.certificate_authority = flags.optional_text("certificate-authority");
  overrides.client_certificate = flags.optional_text("client-certificate");
  overrides.client_key = flags.optional_text("client-key");
  overrides.tls_server_name = flags.optional_text("tls-server-name");
  overrides.as = flags.optional_text("as");
  overrides.as_uid = flags.optional_text("as-uid");
  overrides.as_groups = flags.list("as-group");
  overrides.as_user_extra = flags.list("as-user-extra");
  if (flags.given("insecure-skip-tls-verify")) {
    overrides.insecure_skip_tls_verify = flags.flag("insecure-skip-tls-verify");
  }
  if (flags.given("disable-compression")) {
    overrides.disable_compression = flags.flag("disable-compression");
  }
  return overrides;
}

// kubectl and the dispatcher start a plugin by its whole path; who types our name leaves that out.
std::string called_as(const Command& command, const std::string& argv0) {
  return argv0.find('/') != std::string::npos ? "kubectl cni " + command.name
                                              : "kubectl-cni-" + command.name;
}

std::string help_text(const Command& command, const std::string& program,
                      const cxxopts::Options& options) {
  std::string text = fmt::format("{}\n\n{}\n\nUsage:\n  {} {}\n\nExamples:\n", command.summary,
                                 command.description, program, command.usage);
  std::string examples = command.examples;
  for (std::size_t at; (at = examples.find("{}")) != std::string::npos;) {
    examples.replace(at, 2, program);
  }
  text += examples + "\nFlags:";
  // The title and the usage line of cxxopts' own help are ours above.
  auto flags = options.help({"", kCommonFlags, kConnectionFlags}, false);
  auto start = flags.find("\n\n");
  text += start == std::string::npos ? flags : flags.substr(start + 1);
  text +=
      "\nEvery flag can be given by environment as well: --ssh-key as KUBECTL_CNI_SSH_KEY.\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 timed out or blocked, 4 refused for\n"
      "safety, 130 interrupted.\n";
  return text;
}

int gravity(int code) {
  switch (static_cast<ExitStatus>(code)) {
    case ExitStatus::kInterrupted:
      return 5;
    case ExitStatus::kFailed:
      return 4;
    case ExitStatus::kBlocked:
      return 3;
    case ExitStatus::kRefused:
      return 2;
    case ExitStatus::kUsage:
      return 1;
    case ExitStatus::kDone:
      break;
  }
  return 0;
}

int code_of(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const Error*>(&error)) {
    return static_cast<int>(ours->status());
  }
  return static_cast<int>(ExitStatus::kFailed);
}

int finish(Context& context) {
  context.results().finish();
  context.out().flush();
  if (!context.out()) throw failed("cannot write to standard output");
  return context.exit_code();
}

int run_parsed(const Command& command, const std::string& program, cxxopts::Options& options,
               const std::vector<std::string>& arguments) {
  Flags flags = parse_flags(options, arguments, kube::process_environment());
  if (flags.flag("help")) {
    std::cout << help_text(command, program, options);
    return 0;
  }
  if (flags.flag("version")) {
    std::cout << "kubectl-cni " << KCNI_VERSION << "\n";
    return 0;
  }
  Context context(std::move(flags), program, std::cout, std::cerr);
  try {
    command.run(context);
  } catch (...) {
    // What was done before the error is still told.
    context.results().finish();
    context.out().flush();
    throw;
  }
  return finish(context);
}

}  // namespace

Context::Context(Flags flags, std::string program, std::ostream& out, std::ostream& err)
    : flags_(std::move(flags)),
      program_(std::move(program)),
      out_(out),
      err_(err),
      dry_run_(parse_dry_run(flags_.text("dry-run"))),
      deadline_(Deadline::after(flags_.duration("timeout"))),
      live_(err, LiveLines::columns_of_stderr(), LiveLines::rows_of_stderr()),
      results_(out, parse_output(flags_.text("output")), suffix_of(dry_run_)) {
  loop_.every(Milliseconds(1000), [this] { remind(); });
  results_.before_printing([this] { live_.hide(); });
}

Context::~Context() {
  live_.hide();
}

const kube::ClientConfig& Context::config() {
  if (!config_) {
    config_ = std::make_unique<kube::ClientConfig>(
        kube::load_config(overrides_from(flags_), kube::process_environment()));
  }
  return *config_;
}

kube::Client& Context::client() {
  if (client_) return *client_;
  kube::ClientOptions options;
  options.request_timeout = flags_.duration("request-timeout");
  options.chunk_size = flags_.number("chunk-size");
  options.field_manager = flags_.text("field-manager");
  options.user_agent = fmt::format("kubectl-cni/{}", KCNI_VERSION);
  options.dry_run = dry_run_ == DryRun::kServer;
  options.read_only = dry_run_ == DryRun::kClient;
  options.warn = [this](const std::string& message) { warn(message); };
  int level = flags_.number("v");
  options.log = [this, level](int needed, const std::string& line) {
    if (level >= needed) note(line);
  };
  client_ = std::make_unique<kube::Client>(loop_, config(), std::move(options));
  return *client_;
}

std::string Context::timeout_text() const {
  return show_duration(flags_.duration("timeout"));
}

std::string Context::key() const {
  auto key = flags_.text("key");
  kube::check_label_key("--key", key);
  return key;
}

void Context::warn(const std::string& message) {
  say("warning: " + printable(message));
}

void Context::waiting(const std::string& what) {
  waiting_for_ = "waiting: " + what;
}

void Context::note(const std::string& message) {
  last_word_ = message;
  last_told_ = Clock::now();
  say(printable(message));
}

void Context::say(const std::string& line) {
  live_.hide();
  err_ << line << std::endl;
  live_.show();
}

// Most commands end at once; what goes on then stands between a delete and its create.
void Context::remind_of_interrupt(Clock::time_point now) {
  if (!loop_.interrupted() || interrupt_told_) return;
  if (!interrupt_seen_) interrupt_seen_ = now;
  if (now - *interrupt_seen_ < kPromptEnd) return;
  interrupt_told_ = true;
  note("interrupted: finishing what is under way; a second Ctrl-C ends it at once");
}

void Context::remind() {
  auto now = Clock::now();
  live_.show();
  remind_of_interrupt(now);
  if (!waiting_for_.empty() && now - last_wait_told_ >= kBetweenWaits) {
    last_wait_told_ = now;
    note(std::exchange(waiting_for_, ""));
    return;
  }
  if (!live_.empty()) return;
  if (now - std::max(last_told_, results_.last_done()) < kLongestSilence) return;
  last_told_ = now;
  auto passed = std::chrono::duration_cast<Milliseconds>(now - begun_);
  auto limit = deadline_.when() ? fmt::format(" of {}", timeout_text()) : "";
  auto word = last_word_.empty() ? "" : "; last word: " + last_word_;
  say(fmt::format("still working after {}{}{}", show_duration(passed), limit, printable(word)));
}

void Context::report(const std::exception& error) {
  say(error_line(error));
  fail_quietly(static_cast<ExitStatus>(code_of(error)));
}

void Context::fail_quietly(ExitStatus status) {
  int code = static_cast<int>(status);
  if (gravity(code) > gravity(exit_code_)) exit_code_ = code;
}

void require_one_selection(const Context& context, const std::string& noun) {
  const auto& flags = context.flags();
  int ways = (context.args().empty() ? 0 : 1) + (flags.text("selector").empty() ? 0 : 1) +
             (flags.flag("all") ? 1 : 0);
  if (ways == 1) return;
  if (ways > 1) {
    throw wrong_usage(fmt::format("{} names, -l and --all exclude each other", noun));
  }
  throw wrong_usage(fmt::format("name at least one {}, or select with -l SELECTOR or --all", noun));
}

int run_main(const Command& command, int argc, char** argv) {
  std::string program = called_as(command, argc > 0 ? argv[0] : "");
  try {
    cxxopts::Options options(program);
    auto adder = options.add_options();
    command.add_flags(adder);
    add_common_flags(options, command.default_timeout);
    add_connection_flags(options);
    options.add_options("hidden")("args", "", cxxopts::value<std::vector<std::string>>());
    options.parse_positional("args");
    return run_parsed(command, program, options, {argv + 1, argv + argc});
  } catch (const Error& error) {
    std::cerr << error_line(error) << std::endl;
    if (error.status() == ExitStatus::kUsage) {
      std::cerr << fmt::format("See '{} --help' for usage.", program) << std::endl;
    }
    return static_cast<int>(error.status());
  } catch (const std::exception& error) {
    std::cerr << error_line(error) << std::endl;
    return static_cast<int>(ExitStatus::kFailed);
  }
}

}  // namespace kcni::cli
