#include "plugins/svc-recreate/svc_recreate.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/cli/mending.h"
#include "common/cni/services_apply.h"
#include "common/cni/services_broken.h"
#include "common/cni/services_select.h"

namespace kcni::svc_recreate {

namespace {

using kube::Json;

void add_flags(cxxopts::OptionAdder& add) {
  auto flag = [] { return cxxopts::value<bool>(); };
  auto text = [] { return cxxopts::value<std::string>(); };
  add("l,selector", "Services with these labels", text(), "SELECTOR");
  add("all", "All Services of the namespace", flag());
  add("A,all-namespaces", "In all namespaces but kube-system", flag());
  add("only-broken", "Only Services whose endpoints are not those of their pods", flag());
  add("allow-load-balancer", "Also of type LoadBalancer: the cloud makes a new balancer", flag());
  add("allow-owned", "Also those that an operator or a GitOps tool looks after", flag());
  add("backup-dir", "Keep a copy of each Service in this directory as well", text(), "DIR");
  add("concurrency", "So many Services at a time",
      cxxopts::value<std::string>()->default_value("8"), "N");
}

cni::ServiceSelection selection_from(cli::Context& context) {
  const auto& flags = context.flags();
  bool everywhere = flags.flag("all-namespaces");
  bool named = !context.args().empty();
  bool by_labels = !flags.text("selector").empty();
  if (named && (by_labels || everywhere || flags.flag("all"))) {
    throw wrong_usage("names exclude -l, --all and -A");
  }
  if (by_labels && flags.flag("all")) throw wrong_usage("-l and --all exclude each other");
  if (!named && !by_labels && !everywhere && !flags.flag("all") && !flags.flag("only-broken")) {
    throw wrong_usage(
        "name at least one Service, or select with -l SELECTOR, --all, -A or "
        "--only-broken");
  }
  cni::ServiceSelection selection;
  selection.names = context.args();
  selection.label_selector = flags.text("selector");
  if (!everywhere) selection.ns = context.config().namespace_;
  return selection;
}

cni::RecreateOptions options_from(const cli::Context& context) {
  const auto& flags = context.flags();
  cni::RecreateOptions options;
  options.consent.named = !context.args().empty();
  options.consent.load_balancer = flags.flag("allow-load-balancer");
  options.consent.owned = flags.flag("allow-owned");
  options.backup_dir = flags.text("backup-dir");
  options.concurrency = flags.number("concurrency", 1);
  options.timeout = flags.duration("timeout");
  return options;
}

// --timeout counts for each step and each Service: one that waits for long must not take the time
// of the others.
kube::Client bounded_client(cli::Context& context) {
  return context.client().until(Deadline::after(context.flags().duration("timeout")));
}

std::vector<Json> only_broken(cli::Context& context, const cni::ServiceSelection& selection,
                              std::vector<Json> services) {
  auto client = bounded_client(context);
  auto broken = context.loop().run(cni::find_broken(client, selection.ns, std::move(services)));
  std::vector<Json> result;
  for (auto& [service, reason] : broken) {
    context.note(fmt::format("{} in namespace {}: {}",
                             kube::kServices.display(kube::name_of(service)),
                             kube::namespace_of(service), reason));
    result.push_back(std::move(service));
  }
  if (result.empty()) context.note("no Service is broken, as far as the API server knows");
  return result;
}

std::vector<Json> plan(cli::Context& context, const cni::ServiceSelection& selection,
                       const cni::ServiceConsent& consent) {
  auto client = bounded_client(context);
  auto services = context.loop().run(cni::select_services(client, selection));
  if (context.flags().flag("only-broken")) {
    services = only_broken(context, selection, std::move(services));
  } else if (services.empty()) {
    context.note("no Service is selected");
  }
  auto plan = cni::plan_services(std::move(services), consent);
  if (consent.named && !plan.left_alone.empty()) {
    throw refused(join(plan.left_alone, "; ") + ". Nothing was touched");
  }
  for (const auto& line : plan.left_alone) context.warn(line);
  return std::move(plan.recreate);
}

void tell(cli::Context& context, const Json& service) {
  context.results().done(kube::kServices, kube::namespace_of(service), kube::name_of(service),
                         "recreated", kube::text_at(service, "/spec/clusterIP"), service);
}

std::string absence(std::vector<Milliseconds> times) {
  std::sort(times.begin(), times.end());
  if (times.size() == 1) return fmt::format("absent for {} ms", times[0].count());
  return fmt::format("{} absent for {} ms each (median), {} ms at most",
                     count_of(times.size(), "Service"), times[times.size() / 2].count(),
                     times.back().count());
}

void apply(cli::Context& context, const cni::RecreateOptions& options, std::vector<Json> services) {
  std::vector<Milliseconds> times;
  cni::RecreateObserver observer;
  observer.done = [&](const cni::Recreated& recreated) {
    tell(context, recreated.service);
    times.push_back(recreated.absent);
  };
  observer.failed = [&](const Error& error) { context.report(error); };
  context.loop().run(
      cni::recreate_services(context.client(), options, std::move(services), observer));
  if (!times.empty() && context.dry_run() == cli::DryRun::kNone) context.note(absence(times));
}

void run(cli::Context& context) {
  auto selection = selection_from(context);
  auto options = options_from(context);
  context.loop().run(cli::mend_services_first(context, bounded_client(context)));
  auto services = plan(context, selection, options.consent);
  if (context.dry_run() == cli::DryRun::kClient) {
    for (const auto& service : services) tell(context, service);
  } else {
    apply(context, options, std::move(services));
  }
}

}  // namespace

cli::Command svc_recreate_command() {
  cli::Command command;
  command.name = "svc-recreate";
  command.usage = "(NAME... | -l SELECTOR | --all | -A) [-n NAMESPACE] [flags]";
  command.summary = "Delete Services and create them anew, with the very same addresses and ports.";
  command.description =
      "Each Service is backed up in a Secret beside it, deleted exactly as it was read, created\n"
      "again with its clusterIPs, nodePorts and everything else that clients rely on, and "
      "verified\n"
      "field by field. What an interrupted run left deleted is put back first. --timeout counts "
      "for\n"
      "each Service. Left alone are default/kubernetes, headless and ExternalName ones, those "
      "being\n"
      "deleted or with a finalizer of somebody else's, and those of kube-system unless named.";
  command.examples =
      "  # One Service\n"
      "  {} web -n shop\n"
      "  # Whatever the migration has left without good endpoints\n"
      "  {} -A --only-broken\n";
  command.default_timeout = "60s";
  command.add_flags = add_flags;
  command.run = run;
  return command;
}

}  // namespace kcni::svc_recreate
