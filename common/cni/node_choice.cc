#include "common/cni/node_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/cni/nodes.h"
#include "common/cni/pods.h"

namespace kcni::cni {

using kube::Json;

namespace {

bool ready(const Json& node) {
  for (const auto& condition : kube::at(node, "/status/conditions")) {
    if (kube::text_at(condition, "/type") == "Ready") {
      return kube::text_at(condition, "/status") == "True";
    }
  }
  return false;
}

std::map<std::string, int> moves_by_node(const std::vector<Json>& pods) {
  std::map<std::string, int> moves;
  for (const auto& pod : pods) {
    if (!finished(pod) && !of_daemonset(pod) && !is_mirror(pod)) ++moves[node_of(pod)];
  }
  return moves;
}

}  // namespace

std::size_t parse_count(const std::string& text, std::size_t of_nodes) {
  if (text == "half") return std::min(of_nodes / 2 + 1, of_nodes > 1 ? of_nodes - 1 : of_nodes);
  std::size_t count = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count == 0) {
    throw wrong_usage(fmt::format("--count is a number from 1 on or half, not \"{}\"", text));
  }
  return count;
}

std::vector<Json> choose_nodes(std::vector<Json> nodes, const std::vector<Json>& pods,
                               std::size_t count, const LabelWish& wish) {
  auto moves = moves_by_node(pods);
  std::vector<std::string> unfit;
  using Rank = std::tuple<bool, int, std::string>;
  std::vector<std::pair<Rank, Json>> ranked;
  for (auto& node : nodes) {
    auto name = kube::name_of(node);
    auto kind = plan_label(node, wish).kind;
    bool done = wish.value ? kube::label_of(node, wish.key) == *wish.value
                           : !kube::has_label(node, wish.key);
    if (!done && kind == LabelChange::Kind::kSkipped) continue;
    if (!done && (!ready(node) || is_cordoned(node))) {
      unfit.push_back(name + (is_cordoned(node) ? " (cordoned)" : " (not Ready)"));
      continue;
    }
    ranked.emplace_back(Rank{!done, moves[name], name}, std::move(node));
  }
  if (ranked.size() < count) {
    throw refused(
        fmt::format("only {} can be chosen, not {}{}{}", count_of(ranked.size(), "node"), count,
                    unfit.empty() ? "" : "; left out: ", unfit.empty() ? "" : some_of(unfit)));
  }
  std::sort(ranked.begin(), ranked.end(),
            [](const auto& one, const auto& other) { return one.first < other.first; });
  std::vector<Json> chosen;
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(std::move(ranked[i].second));
  return chosen;
}

}  // namespace kcni::cni
