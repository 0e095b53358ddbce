#include "plugins/evict/evict.h"

#include "common/cli/cni_flags.h"

namespace kcni::evict {

namespace {

void add_pod_flags(cxxopts::OptionAdder& add) {
  add("delete-emptydir-data", "Go on although data in emptyDir volumes will be lost",
      cxxopts::value<bool>());
  add("force", "Delete pods that no controller would make anew, for good", cxxopts::value<bool>());
  add("recreate-bare-pods", "Back such pods up, and make them anew on another node",
      cxxopts::value<bool>());
  add("ignore-daemonsets", "On unless =false is said: DaemonSets' pods stay; else they are refused",
      cxxopts::value<bool>());
  add("daemonset-pods",
      "Delete the pods of DaemonSets too, but for those on the host network, and wait until they "
      "are gone",
      cxxopts::value<bool>());
  add("disable-eviction", "Delete instead of evicting: budgets are not honoured",
      cxxopts::value<bool>());
  add("grace-period", "Seconds given to a pod to end; -1: its own",
      cxxopts::value<std::string>()->default_value("-1"), "SECONDS");
  add("pod-selector", "Only pods with these labels", cxxopts::value<std::string>(), "SELECTOR");
  add("skip-wait-for-delete-timeout",
      "Do not wait for a pod that has been in deletion for longer; 0: for all",
      cxxopts::value<std::string>()->default_value("0"), "SECONDS");
  add("stuck-after",
      "Say why a pod is still there when it has been in deletion for so long beyond its grace "
      "period",
      cxxopts::value<std::string>()->default_value("1m"), "DURATION");
}

void add_flags(cxxopts::OptionAdder& add) {
  cli::add_selection_flags(add);
  add_pod_flags(add);
  add("max-nodes-in-parallel", "Empty so many nodes at the same time; budgets hold for all",
      cxxopts::value<std::string>()->default_value("1"), "N");
  add("wait-for-cni-gone",
      "First wait until flannel's pods have left the nodes, as their labels say",
      cxxopts::value<bool>());
  add("surge",
      "Restart Deployments that have no Ready pod on any other node, so that each replacement is "
      "Ready before its forerunner goes; evict what is left",
      cxxopts::value<bool>());
  add("wait-for-replacements", "Wait until the owners of the pods are fully Ready again",
      cxxopts::value<bool>());
  add("uncordon", "Uncordon each node when it was emptied", cxxopts::value<bool>());
  add("uncordon-on-failure", "Uncordon what this run has cordoned when it is not emptied",
      cxxopts::value<bool>());
  add("recycle",
      "Do not cordon; restart just the pods that still hold an address of flannel's range, "
      "DaemonSets' included",
      cxxopts::value<bool>());
  cli::add_daemonset_flags(add);
}

Options options_from(const cli::Context& context) {
  const auto& flags = context.flags();
  Options options;
  options.rules.delete_emptydir_data = flags.flag("delete-emptydir-data");
  options.rules.force = flags.flag("force");
  options.rules.recreate_bare_pods = flags.flag("recreate-bare-pods");
  options.rules.ignore_daemonsets =
      !flags.given("ignore-daemonsets") || flags.flag("ignore-daemonsets");
  options.rules.key = context.key();
  options.rules.daemonset_pods = flags.flag("daemonset-pods");
  options.rules.skip_after = std::chrono::seconds(flags.number("skip-wait-for-delete-timeout"));
  options.recycle = flags.flag("recycle");
  options.disable_eviction = flags.flag("disable-eviction");
  options.surge = flags.flag("surge");
  options.wait_for_replacements = flags.flag("wait-for-replacements");
  options.wait_for_cni_gone = flags.flag("wait-for-cni-gone");
  options.uncordon = flags.flag("uncordon");
  options.uncordon_on_failure = flags.flag("uncordon-on-failure");
  options.nodes_in_parallel = flags.number("max-nodes-in-parallel", 1);
  options.stuck_after = flags.duration("stuck-after");
  int grace = flags.number("grace-period", -1);
  if (grace >= 0) options.grace_period = grace;
  options.pod_selector = flags.text("pod-selector");
  options.key = context.key();
  bool cordons = options.uncordon || options.uncordon_on_failure || options.surge;
  if (options.recycle && cordons) {
    throw wrong_usage(
        "--recycle cordons nothing and moves nothing to other nodes: it excludes --surge, "
        "--uncordon and --uncordon-on-failure");
  }
  return options;
}

}  // namespace

cli::Command evict_command() {
  cli::Command command;
  command.name = "evict";
  command.usage = "(NODE... | -l SELECTOR | --all)";
  command.summary = "Cordon nodes and evict their pods, losing none.";
  command.description =
      "As kubectl drain: cordons, evicts through the eviction API so that PodDisruptionBudgets "
      "are\n"
      "honoured, and waits until the pods are gone. Unlike it, it goes on only when the cordon "
      "holds,\n"
      "knows a pod by its UID, names the budget that blocks (exit code 3), and can move pods that "
      "no\n"
      "controller would make anew. A pod that no rule covers is refused before anything is "
      "touched.\n"
      "Pods of DaemonSets stay, and so do finished ones, with their logs.";
  command.examples =
      "  {} w1                          # cordon w1 and evict its pods\n"
      "  {} w1 --recreate-bare-pods     # bare pods are made anew elsewhere\n"
      "  {} w1 --surge --wait-for-replacements --uncordon   # no moment without a Ready pod\n"
      "  {} w1 w2 --uncordon-on-failure --timeout 10m\n"
      "  {} --all --dry-run             # what would happen, and what would be refused\n"
      "  {} w1 -o json                  # events, one a line\n"
      "  {} w1 --recycle                # after Cilium came: restart what has an old address\n";
  command.default_timeout = "0";
  command.add_flags = add_flags;
  command.run = [](cli::Context& context) {
    context.results().stream_events();
    context.loop().run(run(context, options_from(context)));
  };
  return command;
}

}  // namespace kcni::evict
