// Which PodDisruptionBudgets speak of a pod.
#pragma once

#include <string>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

/// The names of those among a namespace's budgets whose selector matches the pod's labels.
std::vector<std::string> budgets_of(const std::vector<kube::Json>& budgets, const kube::Json& pod);

/// The server refuses for good to evict a pod with two budgets (500, "more than one
/// PodDisruptionBudget"; pkg/registry/core/pod/storage/eviction.go).
bool has_several_budgets(const kube::Answer& answer);

/// Names them, and what to do. Without the right to list budgets, names none.
Task<Error> several_budgets_error(kube::Client client, kube::Json pod);

}  // namespace kcni::cni
