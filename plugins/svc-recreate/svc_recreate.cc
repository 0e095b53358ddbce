#include "plugins/svc-recreate/svc_recreate.h"

#include "common/cli/cni_flags.h"

namespace kcni::svc_recreate {

namespace {

void add_flags(cxxopts::OptionAdder& add) {
  auto flag = [] { return cxxopts::value<bool>(); };
  auto text = [] { return cxxopts::value<std::string>(); };
  add("l,selector", "Services with these labels", text(), "SELECTOR");
  add("all", "All Services of the namespace", flag());
  add("A,all-namespaces", "In all namespaces but kube-system", flag());
  add("only-broken", "Only Services whose endpoints are not those of their pods", flag());
  add("explain", "Only say what is wrong with each Service, and the cheapest cure", flag());
  add("endpoints-only", "Only have the EndpointSlices written anew; the Service stays as it is",
      flag());
  add("restore",
      "Put back what an interrupted run left deleted, and what is missing of --backup-dir", flag());
  add("allow-load-balancer", "Also of type LoadBalancer: the cloud makes a new balancer", flag());
  add("allow-owned", "Also those that an operator or a GitOps tool looks after", flag());
  add("allow-finalizers", "Also those with a finalizer of somebody who must take it off first",
      flag());
  add("backup-dir", "Keep a copy of each Service in this directory as well", text(), "DIR");
  add("concurrency", "So many Services at a time",
      cxxopts::value<std::string>()->default_value("8"), "N");
  cli::add_daemonset_flags(add);
}

void run(cli::Context& context) {
  const auto& flags = context.flags();
  bool restores = flags.flag("restore"), explains = flags.flag("explain"),
       rewrites = flags.flag("endpoints-only");
  if (int{restores} + int{explains} + int{rewrites} > 1) {
    throw wrong_usage("--restore, --explain and --endpoints-only exclude each other");
  }
  if (restores) return restore(context);
  if (explains) return explain(context);
  if (rewrites) return rewrite_endpoints(context);
  recreate(context);
}

}  // namespace

cli::Command svc_recreate_command() {
  cli::Command command;
  command.name = "svc-recreate";
  command.usage = "(NAME... | -l SELECTOR | --all | -A | --restore) [-n NAMESPACE] [flags]";
  command.summary = "Delete Services and create them anew, with the very same addresses and ports.";
  command.description =
      "Each Service is backed up in a Secret beside it, deleted exactly as it was read, created\n"
      "again with its clusterIPs, nodePorts and everything else that clients rely on, verified "
      "field\n"
      "by field, and its endpoints are waited for. What an interrupted run left deleted is put "
      "back\n"
      "first. --timeout counts for each Service. Left alone are default/kubernetes, headless and\n"
      "ExternalName ones, those being deleted or with a finalizer of somebody else's, and those "
      "of\n"
      "kube-system unless named.\n"
      "--explain tells what is wrong and what it costs least to do; often it is not this command.";
  command.examples =
      "  # What is wrong, and the cheapest cure\n"
      "  {} -A --explain\n"
      "  # One Service\n"
      "  {} web -n shop\n"
      "  # Whatever the migration has left without good endpoints\n"
      "  {} -A --only-broken\n"
      "  # The endpoints alone: the Service is never away\n"
      "  {} web -n shop --endpoints-only\n"
      "  # After a crash\n"
      "  {} --restore --backup-dir ~/backups\n";
  command.default_timeout = "60s";
  command.add_flags = add_flags;
  command.run = run;
  return command;
}

}  // namespace kcni::svc_recreate
