#include "common/cni/services_select.h"

#include <fmt/format.h>

#include <algorithm>

namespace kcni::cni {

namespace {

using kube::Json;

std::string plain_name(const std::string& argument) {
  auto slash = argument.find('/');
  if (slash == std::string::npos) return argument;
  if (kube::find_resource(argument.substr(0, slash)) != &kube::kServices) {
    throw wrong_usage(
        fmt::format("\"{}\" is no Service: give names, as web or service/web", argument));
  }
  return argument.substr(slash + 1);
}

Task<Json> get_service(kube::Client client, std::string ns, std::string name) {
  auto answer = co_await client.get(kube::kServices, ns, name);
  co_return kube::body_or_throw(std::move(answer));
}

}  // namespace

Task<std::vector<Json>> select_services(kube::Client client, ServiceSelection selection) {
  if (selection.names.empty()) {
    kube::Query query;
    query.resource = &kube::kServices;
    query.ns = selection.ns;
    query.label_selector = selection.label_selector;
    query.without_managed_fields = true;
    auto list = co_await client.list(std::move(query));
    co_return std::move(list.items);
  }
  std::vector<std::string> names;
  for (const auto& argument : selection.names) {
    auto name = plain_name(argument);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  std::vector<Task<Json>> tasks;
  for (const auto& name : names) tasks.push_back(get_service(client, selection.ns, name));
  co_return co_await all(std::move(tasks));
}

ServicePlan plan_services(std::vector<Json> services, const ServiceConsent& consent) {
  ServicePlan plan;
  for (auto& service : services) {
    auto reason = why_left_alone(service, consent);
    if (!reason) {
      plan.recreate.push_back(std::move(service));
    } else if (consent.named || kube::key_of(service) != "default/kubernetes") {
      plan.left_alone.push_back(
          fmt::format("{} left alone: {}", place_of_service(service), *reason));
    }
  }
  return plan;
}

}  // namespace kcni::cni
