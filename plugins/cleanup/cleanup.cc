#include "plugins/cleanup/cleanup.h"

#include <fmt/format.h>

#include "common/base/text.h"
#include "common/cli/cni_flags.h"
#include "common/cli/mending.h"

namespace kcni::cleanup {

namespace {

void add_flags(cxxopts::OptionAdder& add) {
  auto text = [] { return cxxopts::value<std::string>(); };
  cli::add_selection_flags(add);
  add("check", "Only look: exit code 0 when nothing of flannel is left, else 1",
      cxxopts::value<bool>());
  add("links-only", "Delete cni0 and flannel.1 and nothing else", cxxopts::value<bool>());
  add("wait-conf", "Wait until the new CNI has written its configuration", cxxopts::value<bool>());
  add("restore", "Put back the CNI configuration that a cleanup has moved aside",
      cxxopts::value<bool>());
  add_kind_flags(add);
  add("parallel", "Nodes visited at a time", text()->default_value("8"), "N");
  add("force", "Clean although flannel, or pods on it, still run there, or it is not cordoned",
      cxxopts::value<bool>());
  add("via", "How to get at a node: ssh, or pod: a short-lived privileged pod on it",
      text()->default_value("ssh"), "WAY");
  add("image", "For --via pod: an image with sh and nsenter; default: Cilium's or flannel's own",
      text(), "IMAGE");
  add_ssh_flags(add);
  cli::add_daemonset_flags(add);
}

void count(Tally& tally, const Visit& visit, const Outcome& outcome) {
  if (outcome.error && outcome.error->status() == ExitStatus::kInterrupted) {
    (outcome.begun ? tally.interrupted : tally.not_begun).push_back(visit.node);
  } else if (outcome.error || !outcome.report.clean()) {
    tally.bad.push_back(visit.node);
  } else {
    ++tally.fine;
  }
}

// One line for all that Ctrl-C has left in the middle.
void tell_interrupted(cli::Context& context, const Tally& tally) {
  if (tally.interrupted.empty() && tally.not_begun.empty()) return;
  if (!tally.interrupted.empty())
    context.note("what was interrupted: run it again to be sure of it");
  throw Interrupted();
}

void run(cli::Context& context) {
  auto kinds = chosen_kinds(context);
  auto ssh = ssh_options(context);
  auto visits = context.loop().run(plan_visits(context, kinds));
  if (!context.flags().flag("check")) {
    context.loop().run(cli::mend_in_passing(context, /*makes_backups=*/false));
  }
  Tally tally;
  make_visits(context, visits, ssh, kinds, [&](const Visit& visit, const Outcome& outcome) {
    count(tally, visit, outcome);
    bool broken_off = outcome.error && outcome.error->status() == ExitStatus::kInterrupted;
    if (!broken_off) tell(context, visit, outcome);
  });
  if (visits.size() > 1) context.note(summary_of(tally));
  tell_interrupted(context, tally);
}

}  // namespace

cli::Command cleanup_command() {
  cli::Command command;
  command.name = "cleanup";
  command.usage =
      "(NODE... | -l SELECTOR | --all) [--check | --links-only | --wait-conf | --restore]";
  command.summary = "Remove what flannel left on nodes, and prove that nothing is left.";
  command.description =
      "Logs into the nodes over ssh and removes flannel's links, routes, firewall chains, CNI "
      "conf\n"
      "(moved aside, --restore puts it back), state, and its annotations on the Node, then looks\n"
      "again; never anything that is not flannel's. Refuses while flannel or pods on it still run\n"
      "there. --dry-run logs in and prints the commands it would run. Where nobody can log in,\n"
      "--via pod does the same through a Job's pod on the node, deleted afterwards.";
  command.examples =
      "  {} w1                     # after evict\n"
      "  {} w1 --wait-conf         # Cilium's pod runs; wait until it has written its conf\n"
      "  {} --all --check          # at the end\n"
      "  {} --all --check --via pod   # without ssh\n"
      "  {} w1 --ssh-user admin --ssh-key ~/.ssh/night --dry-run\n";
  command.default_timeout = "5m";
  command.add_flags = add_flags;
  command.run = run;
  return command;
}

}  // namespace kcni::cleanup
