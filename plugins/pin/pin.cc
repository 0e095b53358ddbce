#include "plugins/pin/pin.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "common/cli/cni_flags.h"
#include "common/cni/manifest.h"
#include "common/kube/label_syntax.h"

namespace kcni::pin {

namespace {

void add_flags(cxxopts::OptionAdder& add) {
  add("to", "Pin to the nodes labelled KEY=VALUE", cxxopts::value<std::string>(), "VALUE");
  add("remove", "Take the pin off again", cxxopts::value<bool>());
  add("A,all-namespaces", "All namespaces but kube-system and kube-flannel (the default)",
      cxxopts::value<bool>());
  add("l,selector", "Only workloads with these labels", cxxopts::value<std::string>(), "SELECTOR");
  add("cni", "Pin this CNI's own DaemonSet: flannel or cilium", cxxopts::value<std::string>(),
      "CNI");
  add("f,filename", "Pin in a manifest read from FILE (- for stdin) and write it to stdout",
      cxxopts::value<std::string>(), "FILE");
  add("select", "With -f: which object, instead of the Cilium agent's DaemonSet; repeatable",
      cxxopts::value<std::vector<std::string>>(), "KIND/NAME");
  add("in-place", "Restart nothing: only pods that start later are pinned (or not any more)",
      cxxopts::value<bool>());
  add("rollout", "Change the template and let the pods roll, wherever they are",
      cxxopts::value<bool>());
  add("max-concurrent-rollouts", "Begin a rollout only while fewer than N are under way; 0: all",
      cxxopts::value<std::string>()->default_value("0"), "N");
  add("wait", "Wait until the rollouts are complete", cxxopts::value<bool>());
  add("managed",
      "What an operator, Argo CD, Flux or Helm looks after: patch (and look again) or skip",
      cxxopts::value<std::string>()->default_value("patch"), "MODE");
  add("recreate-bare-pods", "Also bare Pods: backed up, deleted and created anew",
      cxxopts::value<bool>());
  add("delete-emptydir-data", "Bare Pods too whose data in emptyDir volumes will be lost",
      cxxopts::value<bool>());
  add("evict",
      "Evict the pods that must move or still have the pin, and that no rollout reaches: of "
      "standalone "
      "ReplicaSets and ReplicationControllers, and of Deployments unpinned in place",
      cxxopts::value<bool>());
  add("diff", "Show what changes, as diff -u does; with --dry-run nothing else happens",
      cxxopts::value<bool>());
  add("overwrite", "Replace another value of the key in a nodeSelector", cxxopts::value<bool>());
  add("include-host-network", "Also workloads on the host network", cxxopts::value<bool>());
  add("force", "Go on where a safety rule refuses; the refusal names what would happen",
      cxxopts::value<bool>());
  cli::add_daemonset_flags(add);
}

std::string read_manifest(const std::string& file) {
  if (file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw failed(fmt::format("cannot read the manifest {}", file));
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

void filter_manifest(cli::Context& context) {
  const auto& flags = context.flags();
  if (!context.args().empty() || flags.given("cni") || !flags.text("selector").empty()) {
    throw wrong_usage("-f reads a manifest: choose in it with --select KIND/NAME");
  }
  cni::ManifestPin pin;
  pin.key = context.key();
  pin.value = flags.text("to");
  pin.selection = flags.list("select");
  pin.remove = flags.flag("remove");
  pin.overwrite = flags.flag("overwrite");
  if (pin.remove == flags.given("to")) throw wrong_usage("say either --to VALUE or --remove");
  if (!pin.remove) kube::check_label_value("--to", pin.value);
  context.out() << cni::pin_manifest(read_manifest(flags.text("filename")), pin);
}

cli::Command pin_command() {
  cli::Command command;
  command.name = "pin";
  command.usage = "[KIND/NAME... | --cni CNI | -f FILE] (--to VALUE | --remove)";
  command.summary = "Pin workloads, or a CNI's DaemonSet, to the nodes of one CNI.";
  command.description =
      "Puts nodeSelector cni=VALUE into the pod templates of Deployments, StatefulSets, "
      "DaemonSets,\n"
      "CronJobs and standalone ReplicaSets and ReplicationControllers. Without names: those of "
      "all\n"
      "namespaces but kube-system and kube-flannel, or of -n. A CNI's DaemonSet is pinned only by\n"
      "--cni, or by its name.\n"
      "A pod restarts only if it has to move: where all pods are on nodes that the pin allows, it\n"
      "is set in place (a Deployment's ReplicaSet gets the same template while it is paused, a\n"
      "StatefulSet or DaemonSet waits with OnDelete). --remove takes off what pin put on, puts "
      "back\n"
      "what it replaced, and rolls only what was born with the pin. --in-place and --rollout say\n"
      "otherwise. With -f it is a filter from manifest to manifest and needs no server.";
  command.examples =
      "  {} --to flannel --wait                # all workloads stay on flannel's nodes\n"
      "  {} --to flannel --dry-run --diff      # what would change\n"
      "  {} --cni flannel --to flannel         # and so does flannel\n"
      "  {} -f cilium.yaml --to cilium | kubectl apply -f -\n"
      "  {} deployment/web -n shop --to flannel --dry-run\n"
      "  {} --remove --rollout --wait          # and move with that\n";
  command.default_timeout = "10m";
  command.add_flags = add_flags;
  command.run = [](cli::Context& context) {
    if (context.flags().given("filename")) {
      filter_manifest(context);
      return;
    }
    auto whole = [](cli::Context& c) -> Task<> {
      auto scope = co_await read_scope(c);
      co_await apply(c, std::move(scope));
    };
    context.loop().run(whole(context));
  };
  return command;
}

}  // namespace kcni::pin
