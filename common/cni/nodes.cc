#include "common/cni/nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kcni::cni {

using kube::Json;

namespace {

// Up to so many names are read one by one; more cost less as one list.
constexpr std::size_t kFewNames = 8;

std::string bare_name(const std::string& argument) {
  for (const char* prefix : {"node/", "nodes/", "no/"}) {
    if (argument.starts_with(prefix)) return argument.substr(std::string_view(prefix).size());
  }
  return argument;
}

kube::Answer unknown_node(const std::string& name) {
  kube::Answer answer;
  answer.status = 404;
  answer.body = {{"reason", "NotFound"}, {"message", fmt::format("nodes \"{}\" not found", name)}};
  return answer;
}

std::vector<std::string> unique_names(const std::vector<std::string>& arguments) {
  std::vector<std::string> names;
  for (const auto& argument : arguments) {
    auto name = bare_name(argument);
    if (name.empty() || name.find('/') != std::string::npos) {
      throw wrong_usage(fmt::format("\"{}\" is no node name", argument));
    }
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

Task<Json> get_node(kube::Client client, std::string name) {
  co_return kube::body_or_throw(co_await client.get(kube::kNodes, "", std::move(name)));
}

Task<std::vector<Json>> get_each(kube::Client client, std::vector<std::string> names) {
  std::vector<Task<Json>> tasks;
  for (const auto& name : names) tasks.push_back(get_node(client, name));
  co_return co_await all(std::move(tasks));
}

std::vector<Json> pick(const std::vector<std::string>& names, std::vector<Json> nodes) {
  std::map<std::string, Json> by_name;
  for (auto& node : nodes) {
    auto name = kube::name_of(node);
    by_name[name] = std::move(node);
  }
  std::vector<Json> picked;
  for (const auto& name : names) {
    auto found = by_name.find(name);
    if (found == by_name.end()) throw kube::ApiError(unknown_node(name));
    picked.push_back(std::move(found->second));
  }
  return picked;
}

}  // namespace

bool is_control_plane(const Json& node) {
  return kube::has_label(node, "node-role.kubernetes.io/control-plane") ||
         kube::has_label(node, "node-role.kubernetes.io/master");
}

bool is_cordoned(const Json& node) {
  return kube::flag_at(node, "/spec/unschedulable");
}

Task<std::vector<Json>> select_nodes(kube::Client client, NodeSelection selection,
                                     bool metadata_only) {
  auto names = unique_names(selection.names);
  if (!names.empty() && names.size() <= kFewNames) co_return co_await get_each(client, names);
  kube::Query query;
  query.resource = &kube::kNodes;
  query.label_selector = selection.label_selector;
  query.metadata_only = metadata_only;
  auto list = co_await client.list(query);
  if (!names.empty()) co_return pick(names, std::move(list.items));
  std::vector<Json> nodes;
  for (auto& node : list.items) {
    if (selection.workers && is_control_plane(node)) continue;
    if (selection.control_plane && !is_control_plane(node)) continue;
    nodes.push_back(std::move(node));
  }
  if (nodes.empty()) {
    throw failed(selection.label_selector.empty()
                     ? "no nodes found"
                     : fmt::format("no nodes match -l {}", selection.label_selector));
  }
  co_return nodes;
}

}  // namespace kcni::cni
