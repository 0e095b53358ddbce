#include "common/cni/budgets.h"

#include <fmt/format.h>

#include "common/base/text.h"
#include "common/cni/pods.h"
#include "common/cni/scheduling.h"

namespace kcni::cni {

using kube::Json;

std::vector<std::string> budgets_of(const std::vector<Json>& budgets, const Json& pod) {
  std::vector<std::string> names;
  for (const auto& budget : budgets) {
    if (selector_matches(kube::at(budget, "/spec/selector"), pod)) {
      names.push_back(kube::name_of(budget));
    }
  }
  return names;
}

bool has_several_budgets(const kube::Answer& answer) {
  return answer.status == 500 &&
         answer.message().find("more than one PodDisruptionBudget") != std::string::npos;
}

Task<Error> several_budgets_error(kube::Client client, Json pod) {
  std::string names;
  kube::Query query;
  query.resource = &kube::kPodDisruptionBudgets;
  query.ns = kube::namespace_of(pod);
  try {
    auto budgets = co_await client.list(query);
    names = ": " + join(budgets_of(budgets.items, pod), ", ");
  } catch (const kube::ApiError&) {
    // Who may not read budgets is told of the trouble all the same.
  }
  co_return blocked(
      fmt::format("{} cannot be evicted: more than one PodDisruptionBudget "
                  "selects it{}; change their selectors so that one does, or delete the pod",
                  place_of(pod), names));
}

}  // namespace kcni::cni
