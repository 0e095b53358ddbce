#include "common/cni/neighbourhood.h"

#include <algorithm>

#include "common/cni/pods.h"

namespace kcni::cni {

using kube::Json;

namespace {

Task<std::vector<Json>> list_items(kube::Client client, kube::Query query) {
  auto list = co_await client.list(std::move(query));
  co_return std::move(list.items);
}

kube::Query query_for(const kube::Resource& resource, std::string ns) {
  kube::Query query;
  query.resource = &resource;
  query.ns = std::move(ns);
  return query;
}

std::map<std::string, std::vector<std::size_t>> by_owner(const std::vector<Json>& objects) {
  std::map<std::string, std::vector<std::size_t>> index;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    auto uid = kube::text_at(kube::controller_of(objects[i]), "/uid");
    if (!uid.empty()) index[uid].push_back(i);
  }
  return index;
}

}  // namespace

Task<Neighbourhood> Neighbourhood::read(kube::Client client, std::string ns) {
  return read_selected(std::move(client), std::move(ns), "");
}

// Kinds without a selector of that form get everything in their namespace.
Task<Neighbourhood> Neighbourhood::read_around(kube::Client client, Workload workload) {
  return read_selected(std::move(client), kube::namespace_of(workload.object),
                       label_selector_of(workload.object));
}

Task<Neighbourhood> Neighbourhood::read_selected(kube::Client client, std::string ns,
                                                 std::string label_selector) {
  auto nodes = query_for(kube::kNodes, "");
  nodes.metadata_only = true;
  auto pods = query_for(kube::kPods, ns);
  auto sets = query_for(kube::kReplicaSets, std::move(ns));
  pods.label_selector = label_selector;
  sets.label_selector = std::move(label_selector);
  std::vector<Task<std::vector<Json>>> lists;
  lists.push_back(list_items(client, std::move(pods)));
  lists.push_back(list_items(client, std::move(sets)));
  lists.push_back(list_items(client, nodes));
  auto results = co_await all(std::move(lists));
  Neighbourhood here;
  here.pods_ = std::move(results[0]);
  here.replica_sets_ = std::move(results[1]);
  here.nodes_ = std::move(results[2]);
  here.pods_by_owner_ = by_owner(here.pods_);
  here.sets_by_owner_ = by_owner(here.replica_sets_);
  co_return here;
}

std::vector<const Json*> Neighbourhood::replica_sets_of(const std::string& uid) const {
  std::vector<const Json*> sets;
  auto found = sets_by_owner_.find(uid);
  if (found == sets_by_owner_.end()) return sets;
  for (auto i : found->second) sets.push_back(&replica_sets_[i]);
  return sets;
}

Surroundings Neighbourhood::around(const Workload& workload) const {
  Surroundings around;
  for (const auto& node : nodes_) around.nodes.push_back(&node);
  std::vector<std::string> owners{kube::uid_of(workload.object)};
  if (workload.resource == &kube::kDeployments) {
    around.replica_sets = replica_sets_of(owners[0]);
    owners.clear();
    for (const auto* set : around.replica_sets) owners.push_back(kube::uid_of(*set));
  }
  for (const auto& owner : owners) {
    auto found = pods_by_owner_.find(owner);
    if (found == pods_by_owner_.end()) continue;
    for (auto i : found->second) {
      if (!finished(pods_[i]) && !kube::terminating(pods_[i])) around.pods.push_back(&pods_[i]);
    }
  }
  return around;
}

bool Neighbourhood::any_node_has(const std::string& key, const std::string& value) const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [&](const Json& node) { return kube::label_of(node, key) == value; });
}

Task<std::vector<Json>> read_replica_sets(kube::Client client, Json deployment) {
  auto query = query_for(kube::kReplicaSets, kube::namespace_of(deployment));
  query.label_selector = label_selector_of(deployment);
  auto sets = co_await list_items(std::move(client), std::move(query));
  auto uid = kube::uid_of(deployment);
  std::erase_if(sets, [&](const Json& set) { return !owned_by(set, uid); });
  co_return sets;
}

}  // namespace kcni::cni
