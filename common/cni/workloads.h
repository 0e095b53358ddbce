// Everything that owns pods, and where in it the pod template is.
#pragma once

#include <string>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

struct Workload {
  const kube::Resource* resource;
  kube::Json object;

  /// "deployment.apps/web"
  std::string display() const { return resource->display(kube::name_of(object)); }
  /// "deployment.apps/web in namespace shop"
  std::string place() const;
};

/// JSON pointer of the pod spec: /spec/template/spec, for a CronJob deeper.
const char* pod_spec_pointer(const kube::Resource& resource);
const kube::Json& pod_spec_of(const Workload& workload);

/// The kinds read by read_workloads(), in the order in which they are shown.
const std::vector<const kube::Resource*>& workload_kinds();

/// A Job that is complete or has failed for good: it makes no pods any more.
bool job_finished(const kube::Json& job);

/// Suspended and never started: only such a Job's template takes another nodeSelector
/// (KEP-2926, "Allow updating scheduling directives of jobs").
bool job_template_mutable(const kube::Json& job);

/// All workloads of a namespace (or of all, when it is empty), kind by kind, read concurrently.
Task<std::vector<Workload>> read_workloads(kube::Client client, std::string ns,
                                           std::string label_selector);

/// Pods of a namespace or of all.
Task<std::vector<kube::Json>> read_pods(kube::Client client, std::string ns,
                                        std::string field_selector);

/// Whatever still selects the label key: workloads by their template, unfinished pods by their own
/// spec (a pod keeps the nodeSelector it was born with, and a kubelet that restarts fails it when
/// the label is gone). One "kind/name in namespace ns" each.
std::vector<std::string> selectors_of_key(const std::vector<Workload>& workloads,
                                          const std::vector<kube::Json>& pods,
                                          const std::string& key);

}  // namespace kcni::cni
