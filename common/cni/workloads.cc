#include "common/cni/workloads.h"

#include <fmt/format.h>

#include "common/cni/managed.h"
#include "common/cni/pods.h"
#include "common/cni/scheduling.h"

namespace kcni::cni {

using kube::Json;

std::string Workload::place() const {
  return fmt::format("{} in namespace {}", display(), kube::namespace_of(object));
}

const char* pod_spec_pointer(const kube::Resource& resource) {
  if (&resource == &kube::kCronJobs) return "/spec/jobTemplate/spec/template/spec";
  if (&resource == &kube::kPods) return "/spec";
  return "/spec/template/spec";
}

const Json& pod_spec_of(const Workload& workload) {
  return kube::at(workload.object, pod_spec_pointer(*workload.resource));
}

const std::vector<const kube::Resource*>& workload_kinds() {
  static const std::vector<const kube::Resource*> kinds{
      &kube::kDeployments, &kube::kStatefulSets,           &kube::kDaemonSets,
      &kube::kReplicaSets, &kube::kReplicationControllers, &kube::kCronJobs,
      &kube::kJobs};
  return kinds;
}

bool job_finished(const Json& job) {
  for (const auto& condition : kube::at(job, "/status/conditions")) {
    auto type = kube::text_at(condition, "/type");
    bool final_type = type == "Complete" || type == "Failed";
    if (final_type && kube::text_at(condition, "/status") == "True") return true;
  }
  return false;
}

bool job_template_mutable(const Json& job) {
  return kube::flag_at(job, "/spec/suspend") && kube::text_at(job, "/status/startTime").empty();
}

Task<std::vector<Workload>> read_workloads(kube::Client client, std::string ns,
                                           std::string label_selector) {
  std::vector<Task<kube::List>> lists;
  for (const auto* resource : workload_kinds()) {
    kube::Query query;
    query.resource = resource;
    query.ns = ns;
    query.label_selector = label_selector;
    lists.push_back(client.list(query));
  }
  auto results = co_await all(std::move(lists));
  std::vector<Workload> workloads;
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (auto& object : results[i].items) {
      workloads.push_back({workload_kinds()[i], std::move(object)});
    }
  }
  co_return workloads;
}

Task<std::vector<Json>> read_pods(kube::Client client, std::string ns, std::string field_selector) {
  kube::Query query;
  query.resource = &kube::kPods;
  query.ns = std::move(ns);
  query.field_selector = std::move(field_selector);
  auto list = co_await client.list(query);
  co_return std::move(list.items);
}

std::vector<std::string> selectors_of_key(const std::vector<Workload>& workloads,
                                          const std::vector<Json>& pods, const std::string& key) {
  std::vector<std::string> found;
  for (const auto& workload : workloads) {
    bool scaled_down = workload.resource == &kube::kReplicaSets &&
                       !kube::controller_of(workload.object).is_null() &&
                       (!has_custom_owner(workload.object) ||
                        kube::number_at(workload.object, "/spec/replicas", 1) == 0);
    bool finished_job = workload.resource == &kube::kJobs && job_finished(workload.object);
    if (scaled_down || finished_job) continue;
    if (selects_key(pod_spec_of(workload), key)) found.push_back(workload.place());
  }
  for (const auto& pod : pods) {
    if (finished(pod) || !selects_key(kube::at(pod, "/spec"), key)) continue;
    found.push_back(place_of(pod));
  }
  return found;
}

}  // namespace kcni::cni
