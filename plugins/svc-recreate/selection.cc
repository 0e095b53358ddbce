// Which Services a run is about.
#include <fmt/format.h>

#include "common/base/text.h"
#include "common/cni/services_broken.h"
#include "plugins/svc-recreate/svc_recreate.h"

namespace kcni::svc_recreate {

using kube::Json;

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
        "--only-broken; --restore puts back what is missing");
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
  options.consent.finalizers = flags.flag("allow-finalizers");
  options.backup_dir = flags.text("backup-dir");
  options.concurrency = flags.number("concurrency", 1);
  options.timeout = flags.duration("timeout");
  return options;
}

kube::Client bounded_client(cli::Context& context) {
  return context.client().until(Deadline::after(context.flags().duration("timeout")));
}

namespace {

std::vector<Json> only_broken(cli::Context& context, const cni::ServiceSelection& selection,
                              std::vector<Json> services) {
  auto client = bounded_client(context);
  auto broken = context.loop().run(cni::find_broken(client, selection.ns, std::move(services)));
  std::vector<Json> result;
  for (auto& [service, reason] : broken) {
    context.note(fmt::format("{}: {}", cni::place_of_service(service), reason));
    result.push_back(std::move(service));
  }
  if (result.empty()) context.note("no Service is broken, as far as the API server knows");
  return result;
}

}  // namespace

std::vector<Json> selected_services(cli::Context& context, const cni::ServiceSelection& selection) {
  auto client = bounded_client(context);
  auto services = context.loop().run(cni::select_services(client, selection));
  if (context.flags().flag("only-broken")) {
    return only_broken(context, selection, std::move(services));
  }
  if (services.empty()) context.note("no Service is selected");
  return services;
}

std::string interrupted_after(std::size_t done, std::size_t failed, std::size_t all,
                              const std::string& what) {
  auto rest =
      failed > 0 ? "but for those that failed, the rest is as it was" : "the rest is as it was";
  return fmt::format("interrupted: {} of {} {}{}{}", done, count_of(all, "Service"), what,
                     done == all ? "" : "; ", done == all ? "" : rest);
}

}  // namespace kcni::svc_recreate
