#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/base/text.h"
#include "common/cli/cni_flags.h"
#include "common/cni/flannel_network.h"
#include "common/cni/pods.h"
#include "common/cni/workloads.h"
#include "plugins/cleanup/cleanup.h"

namespace kcni::cleanup {

using cni::CleanupRequest;
using kube::Json;
using Mode = CleanupRequest::Mode;

namespace {

Mode mode_from(const cli::Context& context) {
  const auto& flags = context.flags();
  bool check = flags.flag("check"), links = flags.flag("links-only"),
       wait = flags.flag("wait-conf"), restore = flags.flag("restore");
  if (int{check} + int{links} + int{wait} + int{restore} > 1) {
    throw wrong_usage("--check, --links-only, --wait-conf and --restore exclude each other");
  }
  bool chooses = flags.given("only") || flags.given("skip");
  if (chooses && (links || wait || restore)) {
    throw wrong_usage("--only and --skip are for cleaning and for --check");
  }
  if (restore) return Mode::kRestore;
  if (check) return Mode::kCheck;
  if (wait) return Mode::kWaitConf;
  return links ? Mode::kLinksOnly : Mode::kClean;
}

/// What the API server knows that decides about cleaning.
struct Cluster {
  std::vector<Json> nodes;
  std::map<std::string, std::vector<Json>> pods;  ///< by node
  cni::FlannelNetwork network;
  std::size_t left_out = 0;            ///< of its ranges
  std::set<std::string> flannel_uids;  ///< of flannel's DaemonSets
  std::set<std::string> cilium_uids;   ///< of Cilium's, if its agents write their CNI conf
  std::vector<cni::CniDaemonSet> daemonsets;
};

Task<Json> read_cilium_config(kube::Client client, std::string ns) {
  auto answer = co_await client.get(kube::kConfigMaps, std::move(ns), "cilium-config");
  if (answer.not_found()) co_return Json();
  co_return kube::body_or_throw(std::move(answer));
}

// With cni.customConf the agents write none until a CiliumNodeConfig says otherwise.
bool writes_conf(const Json& config) {
  return config.is_object() && kube::text_at(config, "/data/custom-cni-conf") != "true";
}

// Where no ConfigMap tells flannel's range any more: what the nodes were given for their pods. Not
// where Cilium gives out just these.
void add_pod_ranges(cni::FlannelNetwork& network, const std::vector<Json>& nodes) {
  for (const auto& node : nodes) {
    auto range = cni::Cidr::parse(kube::text_at(node, "/spec/podCIDR"));
    if (range) network.ranges.push_back(*range);
  }
}

// Routes and connections into such a range would be everybody's.
void leave_out_too_wide(cli::Context& context, Cluster& cluster) {
  cluster.left_out = std::erase_if(cluster.network.ranges, [&](const cni::Cidr& range) {
    if (!range.too_wide()) return false;
    context.warn(fmt::format(
        "flannel's ConfigMap has the network {}, too wide to be that of pods: it is left out of "
        "account",
        range.text()));
    return true;
  });
}

Task<Cluster> read_cluster(cli::Context& context) {
  kube::Client client = context.client();
  Cluster cluster;
  auto selection = cli::node_selection(context);
  cluster.nodes = co_await cni::select_nodes(client, selection, /*metadata_only=*/false);
  cluster.network = co_await cni::find_flannel_network(client);
  leave_out_too_wide(context, cluster);
  cni::add_vnis(cluster.network, cluster.nodes);
  cni::NamedDaemonSets named = cli::named_daemonsets(context);
  cluster.daemonsets = co_await cni::find_cni_daemonsets(client, named);
  bool own_pool = false;
  for (const auto& daemonset : cluster.daemonsets) {
    if (daemonset.cni == cni::Cni::kFlannel) {
      cluster.flannel_uids.insert(kube::uid_of(daemonset.object));
      continue;
    }
    auto config = co_await read_cilium_config(client, kube::namespace_of(daemonset.object));
    own_pool = kube::text_at(config, "/data/ipam") == "cluster-pool";
    if (writes_conf(config)) cluster.cilium_uids.insert(kube::uid_of(daemonset.object));
  }
  bool checks = mode_from(context) == Mode::kCheck;
  if (checks && own_pool && cluster.network.ranges.empty()) {
    add_pod_ranges(cluster.network, cluster.nodes);
  }
  auto one = cluster.nodes.size() == 1 ? "spec.nodeName=" + kube::name_of(cluster.nodes[0]) : "";
  auto pods = co_await cni::read_pods(client, "", one);
  for (auto& pod : pods) {
    auto node = cni::node_of(pod);
    if (!cni::finished(pod)) cluster.pods[node].push_back(std::move(pod));
  }
  co_return cluster;
}

bool is_flannel_pod(const Cluster& cluster, const Json& pod) {
  return cluster.flannel_uids.contains(kube::text_at(kube::controller_of(pod), "/uid"));
}

const std::vector<Json>& pods_on(const Cluster& cluster, const std::string& node) {
  static const std::vector<Json> none;
  auto here = cluster.pods.find(node);
  return here == cluster.pods.end() ? none : here->second;
}

bool flannel_runs(const Cluster& cluster, const std::string& node) {
  const auto& pods = pods_on(cluster, node);
  return std::any_of(pods.begin(), pods.end(),
                     [&](const Json& pod) { return is_flannel_pod(cluster, pod); });
}

// Trap 18 and 14: what still runs on flannel loses its network, and what may still come would be
// plugged into what we are about to remove.
std::string reason_against(const Cluster& cluster, const Json& node) {
  std::vector<std::string> flannel, old;
  bool cilium = false;
  for (const auto& pod : pods_on(cluster, kube::name_of(node))) {
    if (is_flannel_pod(cluster, pod)) flannel.push_back(kube::key_of(pod));
    bool of_cilium = cluster.cilium_uids.contains(kube::text_at(kube::controller_of(pod), "/uid"));
    cilium |= of_cilium && cni::pod_ready(pod);
    bool old_address = cni::has_flannel_address(pod, cluster.network);
    if (old_address && !cni::of_daemonset(pod)) old.push_back(kube::key_of(pod));
  }
  if (!flannel.empty()) return "flannel still runs there: " + some_of(flannel);
  if (!old.empty()) return "pods with an address of flannel still run there: " + some_of(old);
  // Where Cilium is at work, pods that come are plugged in by it.
  if (!cilium && !cni::is_cordoned(node)) {
    return "it is not cordoned, so pods may come at any moment";
  }
  return "";
}

unsigned pods_left(const Cluster& cluster, const std::string& node) {
  const auto& pods = pods_on(cluster, node);
  return static_cast<unsigned>(std::count_if(pods.begin(), pods.end(), [&](const Json& pod) {
    return cni::has_flannel_address(pod, cluster.network);
  }));
}

// The agent's own, or flannel's: what a node that has run them need not pull.
std::vector<std::string> known_images(const Cluster& cluster) {
  std::vector<std::string> images;
  for (auto cni : {cni::Cni::kCilium, cni::Cni::kFlannel}) {
    for (const auto& daemonset : cluster.daemonsets) {
      if (daemonset.cni != cni) continue;
      images.push_back(kube::text_at(daemonset.object, "/spec/template/spec/containers/0/image"));
    }
  }
  return images;
}

// flannel's namespace lets privileged pods in, and may know how to pull; kube-system is the next
// guess.
cni::PodVisit pod_on(const cli::Context& context, const Cluster& cluster, const Json& node) {
  cni::PodVisit pod;
  pod.node = kube::name_of(node);
  pod.image = context.flags().text("image");
  if (pod.image.empty()) pod.image = cni::image_on(node, known_images(cluster));
  if (pod.image.empty()) {
    throw wrong_usage(
        "--via pod needs --image: an image with sh and nsenter (there is no DaemonSet of flannel "
        "or Cilium whose image could be used)");
  }
  pod.ns = context.flags().text("namespace");
  for (const auto& daemonset : cluster.daemonsets) {
    const auto& secrets = kube::at(daemonset.object, "/spec/template/spec/imagePullSecrets");
    if (pod.ns.empty()) pod.ns = kube::namespace_of(daemonset.object);
    if (pod.ns == kube::namespace_of(daemonset.object) && !secrets.is_null()) {
      pod.pull_secrets = secrets;
    }
  }
  if (pod.ns.empty()) pod.ns = "kube-system";
  return pod;
}

CleanupRequest request_for(const cli::Context& context, const Kinds& kinds, const Cluster& cluster,
                           const Json& node) {
  CleanupRequest request;
  request.mode = mode_from(context);
  request.dry_run = context.dry_run() != cli::DryRun::kNone;
  for (long vni : cluster.network.vnis) request.vnis.push_back(static_cast<std::uint32_t>(vni));
  for (const auto& range : cluster.network.ranges) request.networks.push_back(range.text());
  request.pods_left = pods_left(cluster, kube::name_of(node));
  request.kinds = kinds.scripts;
  request.wait = std::chrono::seconds(10);
  return request;
}

}  // namespace

Via via_from(const cli::Context& context) {
  auto way = context.flags().text("via");
  if (way != "ssh" && way != "pod") {
    throw wrong_usage(fmt::format("--via is ssh or pod, not \"{}\"", printable(way)));
  }
  if (way == "ssh" && context.flags().given("image")) throw wrong_usage("--image is for --via pod");
  if (way == "pod" && context.dry_run() != cli::DryRun::kNone) {
    throw wrong_usage(
        "--dry-run has no pod made, so --via pod could not look at a node; --check looks and "
        "changes nothing there");
  }
  return way == "ssh" ? Via::kSsh : Via::kPod;
}

Task<std::vector<Visit>> plan_visits(cli::Context& context, const Kinds& kinds) {
  auto via = via_from(context);
  auto cluster = co_await read_cluster(context);
  auto mode = mode_from(context);
  bool changes = mode == Mode::kClean || mode == Mode::kLinksOnly;
  std::vector<Visit> visits;
  std::vector<std::string> reasons;
  bool unsure = cluster.network.ranges.empty() || cluster.left_out > 0;
  if (mode == Mode::kClean && unsure && !context.flags().flag("force")) {
    throw refused(
        "nothing was cleaned: flannel's address range is not known (no ConfigMap with a good one "
        "in "
        "its net-conf.json), so neither are the pods that still use it (--force cleans all the "
        "same)");
  }
  if (mode == Mode::kCheck && cluster.network.ranges.empty()) {
    context.warn("flannel's address range is not known: its routes are not looked for");
  }
  for (const auto& node : cluster.nodes) {
    auto name = kube::name_of(node);
    auto reason = changes && !context.flags().flag("force") ? reason_against(cluster, node) : "";
    if (!reason.empty()) reasons.push_back(fmt::format("node/{}: {}", name, reason));
    Visit visit;
    visit.node = name;
    visit.request = request_for(context, kinds, cluster, node);
    if (via == Via::kSsh) visit.target = ssh_target(context, node);
    if (via == Via::kPod) visit.pod = pod_on(context, cluster, node);
    visit.flannel_runs = flannel_runs(cluster, name);
    visit.object = node;
    visits.push_back(std::move(visit));
  }
  if (!reasons.empty()) {
    throw refused(
        fmt::format("nothing was cleaned: {} (--force cleans all the same)", join(reasons, "; ")));
  }
  co_return visits;
}

}  // namespace kcni::cleanup
