#include "common/cni/cni_daemonsets.h"

#include <fmt/format.h>

#include <algorithm>

namespace kcni::cni {

using kube::at;
using kube::Json;
using kube::text_at;

namespace {

// "registry/flannel-io/flannel:v0.28@sha256:…" → "flannel"
std::string image_name(std::string image) {
  image = image.substr(0, image.find('@'));
  image = image.substr(image.rfind('/') + 1);
  return image.substr(0, image.find(':'));
}

bool has_container(const Json& daemonset, auto matches) {
  const Json& containers = at(daemonset, "/spec/template/spec/containers");
  return std::any_of(containers.begin(), containers.end(), matches);
}

bool has_either_label(const Json& daemonset, const char* key, const char* value) {
  return kube::label_of(daemonset, key) == value ||
         kube::label_of(at(daemonset, "/spec/template"), key) == value;
}

bool is_flannel(const Json& daemonset) {
  return has_either_label(daemonset, "app", "flannel") ||
         has_either_label(daemonset, "k8s-app", "flannel") ||
         has_container(daemonset, [](const Json& container) {
           return image_name(text_at(container, "/image")) == "flannel";
         });
}

bool is_cilium(const Json& daemonset) {
  return has_either_label(daemonset, "k8s-app", "cilium") ||
         has_container(daemonset, [](const Json& container) {
           return text_at(container, "/name") == "cilium-agent";
         });
}

}  // namespace

const char* name_of(Cni cni) {
  return cni == Cni::kFlannel ? "flannel" : "cilium";
}

Cni parse_cni(const std::string& flag, const std::string& value) {
  if (value == "flannel") return Cni::kFlannel;
  if (value == "cilium") return Cni::kCilium;
  throw wrong_usage(
      fmt::format("invalid value \"{}\" for {}: want flannel or cilium", value, flag));
}

std::optional<Cni> cni_of(const Json& daemonset, const NamedDaemonSets& named) {
  auto key = kube::key_of(daemonset);
  if (!named.flannel.empty() && key == named.flannel) return Cni::kFlannel;
  if (!named.cilium.empty() && key == named.cilium) return Cni::kCilium;
  if (is_flannel(daemonset)) return Cni::kFlannel;
  if (is_cilium(daemonset)) return Cni::kCilium;
  return std::nullopt;
}

std::vector<CniDaemonSet> cni_daemonsets_in(const std::vector<Json>& daemonsets,
                                            const NamedDaemonSets& named) {
  std::vector<CniDaemonSet> result;
  for (const auto& daemonset : daemonsets) {
    if (auto cni = cni_of(daemonset, named)) result.push_back({*cni, daemonset});
  }
  return result;
}

Task<std::vector<CniDaemonSet>> find_cni_daemonsets(kube::Client client, NamedDaemonSets named) {
  kube::Query query;
  query.resource = &kube::kDaemonSets;
  auto list = co_await client.list(query);
  co_return cni_daemonsets_in(list.items, named);
}

std::string label_selector_of(const Json& workload) {
  std::string selector;
  auto add = [&](const std::string& part) { selector += (selector.empty() ? "" : ",") + part; };
  for (const auto& [key, value] : at(workload, "/spec/selector/matchLabels").items()) {
    add(fmt::format("{}={}", key, value.get<std::string>()));
  }
  for (const auto& expression : at(workload, "/spec/selector/matchExpressions")) {
    auto key = text_at(expression, "/key");
    auto op = text_at(expression, "/operator");
    std::vector<std::string> values =
        at(expression, "/values").is_null()
            ? std::vector<std::string>{}
            : at(expression, "/values").get<std::vector<std::string>>();
    if (op == "Exists") add(key);
    if (op == "DoesNotExist") add("!" + key);
    if (op == "In") add(fmt::format("{} in ({})", key, fmt::join(values, ",")));
    if (op == "NotIn") add(fmt::format("{} notin ({})", key, fmt::join(values, ",")));
  }
  return selector;
}

bool pod_ready(const Json& pod) {
  if (kube::terminating(pod)) return false;
  for (const auto& condition : at(pod, "/status/conditions")) {
    if (text_at(condition, "/type") == "Ready") return text_at(condition, "/status") == "True";
  }
  return false;
}

bool owned_by(const Json& pod, const std::string& uid) {
  return text_at(kube::controller_of(pod), "/uid") == uid;
}

Error embedded_flannel_error() {
  return refused(
      "flannel runs here without a DaemonSet (as k3s embeds it), so no label can take it off a "
      "node: this way of migrating does not fit; name its DaemonSet with --flannel-daemonset "
      "NAMESPACE/NAME if there is one");
}

std::vector<std::string> flannel_annotations(const Json& node) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : at(node, "/metadata/annotations").items()) {
    if (key.starts_with("flannel.alpha.coreos.com/")) keys.push_back(key);
  }
  return keys;
}

bool has_flannel_annotations(const Json& node) {
  return !flannel_annotations(node).empty();
}

}  // namespace kcni::cni
