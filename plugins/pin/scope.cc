#include <fmt/format.h>

#include <algorithm>

#include "common/cli/cni_flags.h"
#include "common/kube/label_syntax.h"
#include "plugins/pin/pin.h"

namespace kcni::pin {

using cni::Workload;
using kube::Json;

namespace {

bool skips_managed(const std::string& value) {
  if (value == "skip") return true;
  if (value == "patch") return false;
  throw wrong_usage(fmt::format("--managed is patch or skip, not \"{}\"", value));
}

cni::PinWish wish_from(const cli::Context& context) {
  const auto& flags = context.flags();
  cni::PinWish wish;
  wish.key = context.key();
  wish.value = flags.optional_text("to");
  wish.overwrite = flags.flag("overwrite");
  wish.include_host_network = flags.flag("include-host-network");
  wish.force = flags.flag("force");
  wish.named = !context.args().empty();
  wish.cni_itself = flags.given("cni");
  wish.daemonsets = cli::named_daemonsets(context);
  wish.skip_managed = skips_managed(flags.text("managed"));
  bool in_place = flags.flag("in-place"), rollout = flags.flag("rollout");
  if (in_place && rollout) throw wrong_usage("--in-place and --rollout exclude each other");
  if (in_place) wish.way = cni::PinWish::Way::kInPlace;
  if (rollout) wish.way = cni::PinWish::Way::kRollout;
  if (wish.value.has_value() == flags.flag("remove")) {
    throw wrong_usage("say either --to VALUE or --remove");
  }
  if (wish.value) kube::check_label_value("--to", *wish.value);
  return wish;
}

Task<Workload> read_named(kube::Client client, std::string ns, std::string argument) {
  auto slash = argument.find('/');
  const auto* resource =
      slash == std::string::npos ? nullptr : kube::find_resource(argument.substr(0, slash));
  const auto& kinds = cni::workload_kinds();
  if (resource == &kube::kPods) {
    throw refused(
        fmt::format("{}: the nodeSelector of a pod that exists cannot be changed; pin its owner, "
                    "or move a bare "
                    "pod with 'kubectl cni evict NODE --recreate-bare-pods'",
                    argument));
  }
  if (std::find(kinds.begin(), kinds.end(), resource) == kinds.end()) {
    throw wrong_usage(
        fmt::format("\"{}\" is no workload; name it as KIND/NAME, for example "
                    "deployment/web",
                    argument));
  }
  auto answer = co_await client.get(*resource, std::move(ns), argument.substr(slash + 1));
  co_return Workload{resource, kube::body_or_throw(std::move(answer))};
}

Task<std::vector<Workload>> read_names(cli::Context& context) {
  std::vector<Task<Workload>> tasks;
  for (const auto& argument : context.args()) {
    tasks.push_back(read_named(context.client(), context.config().namespace_, argument));
  }
  co_return co_await all(std::move(tasks));
}

Task<std::vector<Workload>> read_cni(cli::Context& context) {
  auto cni = cni::parse_cni("--cni", context.flags().text("cni"));
  cni::NamedDaemonSets named = cli::named_daemonsets(context);
  auto found = co_await cni::find_cni_daemonsets(context.client(), named);
  std::vector<Workload> workloads;
  for (auto& daemonset : found) {
    if (daemonset.cni == cni) workloads.push_back({&kube::kDaemonSets, daemonset.object});
  }
  if (!workloads.empty()) co_return workloads;
  if (cni == cni::Cni::kFlannel) {
    kube::Query query;
    query.resource = &kube::kNodes;
    query.metadata_only = true;
    auto nodes = co_await context.client().list(query);
    bool embedded =
        std::any_of(nodes.items.begin(), nodes.items.end(), cni::has_flannel_annotations);
    if (embedded) throw cni::embedded_flannel_error();
  }
  throw failed(
      fmt::format("there is no DaemonSet of {0}; name it with --{0}-daemonset "
                  "NAMESPACE/NAME if it is called otherwise",
                  cni::name_of(cni)));
}

// Where the pods of these are; "": in more than one namespace.
std::string namespace_of_all(const std::vector<Workload>& workloads) {
  std::string ns;
  for (const auto& workload : workloads) {
    auto its = kube::namespace_of(workload.object);
    if (!ns.empty() && ns != its) return "";
    ns = its;
  }
  return ns;
}

}  // namespace

Task<std::vector<Workload>> read_all(cli::Context& context) {
  const auto& config = context.config();
  bool one = in_one_namespace(context);
  std::string ns = one ? config.namespace_ : "";
  auto workloads =
      co_await cni::read_workloads(context.client(), ns, context.flags().text("selector"));
  if (!one) {
    std::erase_if(workloads, [](const Workload& workload) {
      return excluded_by_default(kube::namespace_of(workload.object));
    });
  }
  co_return workloads;
}

bool in_one_namespace(cli::Context& context) {
  return context.config().namespace_given && !context.flags().flag("all-namespaces");
}

bool excluded_by_default(const std::string& ns) {
  return ns == "kube-system" || ns == "kube-flannel";
}

Task<Scope> read_scope(cli::Context& context) {
  Scope scope;
  scope.wish = wish_from(context);
  bool named = scope.wish.named, selected = !context.flags().text("selector").empty();
  if (named && selected) throw wrong_usage("names and -l exclude each other");
  if (scope.wish.cni_itself && (named || selected)) {
    throw wrong_usage("--cni stands alone: it means that CNI's DaemonSet");
  }
  bool only_workloads = named || scope.wish.cni_itself;
  if (only_workloads && context.flags().flag("recreate-bare-pods")) {
    throw wrong_usage("--recreate-bare-pods concerns all pods of a namespace, or those of -l");
  }
  if (context.flags().given("select")) throw wrong_usage("--select chooses in a manifest: say -f");
  if (named) {
    scope.workloads = co_await read_names(context);
  } else if (scope.wish.cni_itself) {
    scope.workloads = co_await read_cni(context);
  } else {
    scope.workloads = co_await read_all(context);
    scope.whole = !selected;
  }
  bool by_name = named || scope.wish.cni_itself;
  scope.ns = by_name                     ? namespace_of_all(scope.workloads)
             : in_one_namespace(context) ? context.config().namespace_
                                         : "";
  co_return scope;
}

}  // namespace kcni::pin
