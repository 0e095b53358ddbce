#include "common/cni/volumes.h"

#include <algorithm>

namespace kcni::cni {

using kube::Json;

namespace {

std::vector<std::string> claims_of(const Json& pod_spec) {
  std::vector<std::string> names;
  for (const auto& volume : kube::at(pod_spec, "/volumes")) {
    auto name = kube::text_at(volume, "/persistentVolumeClaim/claimName");
    if (!name.empty()) names.push_back(std::move(name));
  }
  return names;
}

bool is_shared(const Json& claim) {
  const Json& modes = kube::at(claim, "/spec/accessModes");
  return std::any_of(modes.begin(), modes.end(), [](const Json& mode) {
    return mode == "ReadWriteMany" || mode == "ReadOnlyMany";
  });
}

}  // namespace

Task<std::vector<Json>> volume_affinities(kube::Client client, std::string ns, Json pod_spec) {
  std::vector<Json> specs;
  for (const auto& name : claims_of(pod_spec)) {
    auto claim = co_await client.get(kube::kPersistentVolumeClaims, ns, name);
    if (!claim.ok()) continue;
    auto volume_name = kube::text_at(claim.body, "/spec/volumeName");
    if (volume_name.empty()) continue;
    auto volume = co_await client.get(kube::kPersistentVolumes, "", volume_name);
    if (!volume.ok()) continue;
    const Json& required = kube::at(volume.body, "/spec/nodeAffinity/required");
    if (required.is_null()) continue;
    Json spec;
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = required;
    specs.push_back(std::move(spec));
  }
  co_return specs;
}

Task<std::string> exclusive_claim(kube::Client client, std::string ns, Json pod_spec) {
  for (const auto& name : claims_of(pod_spec)) {
    auto claim = co_await client.get(kube::kPersistentVolumeClaims, ns, name);
    if (claim.ok() && !is_shared(claim.body)) co_return name;
  }
  co_return "";
}

}  // namespace kcni::cni
