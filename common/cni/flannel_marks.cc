#include "common/cni/flannel_marks.h"

#include <fmt/format.h>

#include "common/cni/cni_daemonsets.h"

namespace kcni::cni {

using kube::at;
using kube::Json;
using kube::text_at;

namespace {

constexpr const char* kCondition = "NetworkUnavailable";

bool is_flannels(const Json& condition) {
  return text_at(condition, "/type") == kCondition &&
         text_at(condition, "/reason").starts_with("Flannel");
}

Task<> remove_annotations(kube::Client client, std::string node, Json nulls) {
  Json patch = {{"metadata", {{"annotations", std::move(nulls)}}}};
  auto answer = co_await client.patch(kube::kNodes, "", node, kube::PatchType::kMerge, patch);
  kube::body_or_throw(std::move(answer));
}

// With the resourceVersion: Cilium may be writing its own condition of this type just now.
Task<bool> remove_condition(kube::Client client, std::string node, std::string version) {
  Json gone = {{"type", kCondition}, {"$patch", "delete"}};
  Json patch = {{"metadata", {{"resourceVersion", std::move(version)}}},
                {"status", {{"conditions", Json::array({std::move(gone)})}}}};
  auto answer = co_await client.patch_status(kube::kNodes, "", node, kube::PatchType::kStrategic,
                                             std::move(patch));
  if (answer.conflict()) co_return false;
  kube::body_or_throw(std::move(answer));
  co_return true;
}

}  // namespace

std::vector<Residue> flannel_marks(const Json& node) {
  std::vector<Residue> marks;
  for (const auto& key : flannel_annotations(node)) {
    marks.push_back({"mark", "annotation " + key, ""});
  }
  for (const auto& condition : at(node, "/status/conditions")) {
    if (!is_flannels(condition)) continue;
    auto name = fmt::format("condition {} ({})", kCondition, text_at(condition, "/reason"));
    marks.push_back({"mark", name, ""});
  }
  return marks;
}

std::vector<std::string> commands_to_remove_marks(const Json& node) {
  std::vector<std::string> commands;
  auto name = kube::name_of(node);
  for (const auto& key : flannel_annotations(node)) {
    commands.push_back(fmt::format("kubectl annotate node/{} {}-", name, key));
  }
  for (const auto& condition : at(node, "/status/conditions")) {
    if (!is_flannels(condition)) continue;
    commands.push_back(
        fmt::format("kubectl patch node/{} --subresource=status --type=strategic -p "
                    R"('{{"status":{{"conditions":[{{"type":"{}","$patch":"delete"}}]}}}}')",
                    name, kCondition));
  }
  return commands;
}

Task<std::vector<Residue>> remove_flannel_marks(kube::Client client, std::string name) {
  std::vector<Residue> removed;
  for (;;) {
    auto answer = co_await client.get(kube::kNodes, "", name);
    auto node = kube::body_or_throw(std::move(answer));
    auto marks = flannel_marks(node);
    if (removed.empty()) removed = marks;
    if (marks.empty()) co_return removed;
    Json nulls = Json::object();
    for (const auto& key : flannel_annotations(node)) nulls[key] = nullptr;
    if (!nulls.empty()) {
      co_await remove_annotations(client, name, std::move(nulls));
      continue;  // the Node has a new resourceVersion now
    }
    auto version = text_at(node, "/metadata/resourceVersion");
    bool taken = co_await remove_condition(client, name, std::move(version));
    if (taken) co_return removed;
  }
}

}  // namespace kcni::cni
