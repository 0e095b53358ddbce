#include "common/kube/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "common/base/error.h"
#include "common/base/file.h"

namespace kcni::kube {

namespace {

/// The entries of a ':'-separated list, each once, empty ones left out.
std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> entries;
  while (!list.empty()) {
    const std::string entry(list.substr(0, list.find(':')));
    list.remove_prefix(std::min(entry.size() + 1, list.size()));
    const bool known = std::find(entries.begin(), entries.end(), entry) != entries.end();
    if (!entry.empty() && !known) entries.push_back(entry);
  }
  return entries;
}

}  // namespace

std::optional<std::string> given(const std::optional<std::string>& value) {
  return value && !value->empty() ? value : std::nullopt;
}

Kubeconfig merge_kubeconfigs(const std::vector<Kubeconfig>& configs) {
  Kubeconfig merged;
  for (const auto& config : configs) {
    merged.files.insert(merged.files.end(), config.files.begin(), config.files.end());
    if (merged.current_context.empty()) merged.current_context = config.current_context;
    merged.clusters.insert(config.clusters.begin(), config.clusters.end());
    merged.users.insert(config.users.begin(), config.users.end());
    merged.contexts.insert(config.contexts.begin(), config.contexts.end());
  }
  return merged;
}

std::vector<std::string> kubeconfig_paths(const ConfigOverrides& overrides,
                                          const Environment& environment) {
  if (auto path = given(overrides.kubeconfig)) return {*path};
  if (auto list = given(environment("KUBECONFIG"))) return split_list(*list);
  if (auto home = given(environment("HOME"))) return {*home + "/.kube/config"};
  return {};
}

Kubeconfig read_kubeconfigs(const ConfigOverrides& overrides, const Environment& environment) {
  std::vector<Kubeconfig> configs;
  for (const auto& path : kubeconfig_paths(overrides, environment)) {
    auto text = read_file_if_exists(path, "kubeconfig");
    if (text) configs.push_back(parse_kubeconfig(*text, path));
    if (!text && given(overrides.kubeconfig)) {
      throw failed(fmt::format("--kubeconfig {}: there is no such file", path));
    }
  }
  return merge_kubeconfigs(configs);
}

}  // namespace kcni::kube
