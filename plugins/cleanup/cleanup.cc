#include "plugins/cleanup/cleanup.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/base/text.h"
#include "common/cli/cni_flags.h"
#include "common/cli/mending.h"
#include "common/cni/residue_visit.h"
#include "common/http/signals.h"
#include "common/ssh/pool.h"

namespace kcni::cleanup {

using cni::CleanupReport;
using Mode = cni::CleanupRequest::Mode;

namespace {

void add_flags(cxxopts::OptionAdder& add) {
  cli::add_selection_flags(add);
  add("check", "Only look: exit code 0 when nothing of flannel is left, else 1",
      cxxopts::value<bool>());
  add("links-only", "Delete cni0 and flannel.1 and nothing else", cxxopts::value<bool>());
  add("wait-conf", "Wait until the new CNI has written its configuration", cxxopts::value<bool>());
  add("parallel", "Nodes visited at a time", cxxopts::value<std::string>()->default_value("8"),
      "N");
  add("force", "Clean although flannel, or pods on it, still run there, or it is not cordoned",
      cxxopts::value<bool>());
  add_ssh_flags(add);
  cli::add_daemonset_flags(add);
}

/// How one visit ended; a thrown Error is kept, since it concerns one node of many.
struct Outcome {
  CleanupReport report;
  std::optional<Error> error;
};

Outcome make_visit(const Visit& visit, const ssh::Options& options, Deadline deadline) {
  Outcome outcome;
  try {
    ssh::Session session(visit.target, options, deadline, &http::stop_flag());
    outcome.report = cni::visit(session, visit.request, deadline);
  } catch (const Error& error) {
    outcome.error = error;
  }
  return outcome;
}

std::string described(const std::vector<cni::Residue>& items) {
  std::vector<std::string> words;
  for (const auto& item : items) words.push_back(cni::describe(item));
  return some_of(words, 20);
}

// What could not be looked at or done: then nothing is proved, whatever else was found.
void tell_failed(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  auto removed = report.removed.empty() ? "nothing" : cni::summary(report.removed);
  context.report(failed(fmt::format("node/{} is not clean: {} (removed: {})", visit.node,
                                    described(report.failed), removed)));
}

void tell_kept(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  if (report.kept.empty()) return;
  context.warn(fmt::format("node/{} keeps for now: {}", visit.node, described(report.kept)));
}

void tell_check(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  tell_kept(context, visit, report);
  if (!report.failed.empty()) {
    tell_failed(context, visit, report);
  } else if (report.found.empty() && report.clean()) {
    context.results().done(kube::kNodes, "", visit.node, "clean");
    return;
  }
  if (!report.found.empty()) {
    context.results().done(kube::kNodes, "", visit.node, "not clean", described(report.found));
  }
  context.fail_quietly(ExitStatus::kFailed);
}

void tell_cleaned(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  for (const auto& command : report.would) {
    context.results().done(kube::kNodes, "", visit.node, "would run " + command);
  }
  auto what = report.removed.empty() ? "clean" : "cleaned";
  if (report.would.empty() && report.failed.empty()) {
    context.results().done(kube::kNodes, "", visit.node, what, cni::summary(report.removed));
  }
  tell_kept(context, visit, report);
  if (!report.failed.empty()) tell_failed(context, visit, report);
}

void tell_conf(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  if (report.conf.empty()) {
    tell_failed(context, visit, report);
    return;
  }
  context.results().done(kube::kNodes, "", visit.node, "has the new CNI's conf", report.conf);
}

void tell(cli::Context& context, const Visit& visit, const Outcome& outcome) {
  if (outcome.error) {
    context.report(*outcome.error);
  } else if (visit.request.mode == Mode::kCheck) {
    tell_check(context, visit, outcome.report);
  } else if (visit.request.mode == Mode::kWaitConf) {
    tell_conf(context, visit, outcome.report);
  } else {
    tell_cleaned(context, visit, outcome.report);
  }
}

void run(cli::Context& context) {
  auto workers = static_cast<std::size_t>(context.flags().number("parallel", 1));
  auto options = ssh_options(context);
  auto visits = context.loop().run(plan_visits(context));
  if (!context.flags().flag("check")) {
    context.loop().run(cli::mend_in_passing(context, /*makes_backups=*/false));
  }
  auto deadline = context.deadline();
  std::vector<std::function<Outcome()>> jobs;
  for (const auto& visit : visits) {
    jobs.push_back([&visit, &options, deadline] { return make_visit(visit, options, deadline); });
  }
  std::function<void(std::size_t, const Outcome&)> on_end = [&](std::size_t i, const Outcome& o) {
    tell(context, visits[i], o);
  };
  ssh::run_parallel<Outcome>(workers, jobs, on_end, [&] { context.remind(); });
}

}  // namespace

cli::Command cleanup_command() {
  cli::Command command;
  command.name = "cleanup";
  command.usage = "(NODE... | -l SELECTOR | --all) [--check | --links-only | --wait-conf]";
  command.summary = "Remove what flannel left on nodes, and prove that nothing is left.";
  command.description =
      "Logs into the nodes over ssh and removes flannel's links, routes, firewall chains, CNI "
      "conf\n"
      "(moved aside) and state, then looks again; never anything that is not flannel's. Refuses "
      "while\n"
      "flannel or pods on it still run there. --dry-run logs in and prints the commands it would "
      "run.";
  command.examples =
      "  {} w1                     # after evict\n"
      "  {} w1 --wait-conf         # Cilium's pod runs; wait until it has written its conf\n"
      "  {} --all --check          # at the end\n"
      "  {} w1 --ssh-user admin --ssh-key ~/.ssh/night --dry-run\n";
  command.default_timeout = "5m";
  command.add_flags = add_flags;
  command.run = run;
  return command;
}

}  // namespace kcni::cleanup
