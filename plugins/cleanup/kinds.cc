// --only and --skip.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/text.h"
#include "plugins/cleanup/cleanup.h"

namespace kcni::cleanup {

namespace {

using Names = std::vector<std::string>;

// What a user calls a kind, and the script's kinds that it stands for.
const std::vector<std::pair<std::string, Names>> kKinds{
    {"link", {"link"}},
    {"veth", {"veth"}},
    {"route", {"route"}},
    {"conf", {"conf"}},
    {"env", {"env"}},
    {"state", {"state"}},
    {"iptables", {"rule", "chain"}},
    {"nft", {"nft"}},
    {"hostport", {"hostport"}},
    {"conntrack", {"conntrack"}},
    {"annotation", {}},
};

Names all_names() {
  Names names;
  for (const auto& [name, kinds] : kKinds) names.push_back(name);
  return names;
}

Names parse_kinds(const cli::Context& context, const std::string& flag) {
  auto known = all_names();
  auto names = split(context.flags().text(flag), ',');
  for (auto& name : names) {
    name = trim(name);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw wrong_usage(fmt::format("--{}: \"{}\" is no kind of residue; there are {}", flag,
                                  printable(name), join(known, ", ")));
  }
  if (context.flags().given(flag) && names.empty()) {
    throw wrong_usage(fmt::format("--{} needs kinds: {}", flag, join(known, ", ")));
  }
  return names;
}

}  // namespace

void add_kind_flags(cxxopts::OptionAdder& add) {
  auto kinds = "these kinds of residue: " + join(all_names(), ", ");
  add("only", "Only " + kinds, cxxopts::value<std::string>(), "KINDS");
  add("skip", "All but these kinds", cxxopts::value<std::string>(), "KINDS");
}

Kinds chosen_kinds(const cli::Context& context) {
  auto only = parse_kinds(context, "only"), skip = parse_kinds(context, "skip");
  if (!only.empty() && !skip.empty()) throw wrong_usage("--only and --skip exclude each other");
  if (only.empty() && skip.empty()) return {};
  auto chosen = [&](const std::string& name) {
    bool in_only = std::find(only.begin(), only.end(), name) != only.end();
    bool in_skip = std::find(skip.begin(), skip.end(), name) != skip.end();
    return only.empty() ? !in_skip : in_only;
  };
  Kinds result;
  for (const auto& [name, kinds] : kKinds) {
    if (chosen(name)) result.scripts.insert(result.scripts.end(), kinds.begin(), kinds.end());
  }
  result.marks = chosen("annotation");
  result.links = chosen("link");
  if (result.scripts.empty() && !result.marks) {
    throw wrong_usage("--skip leaves no kind of residue to be about");
  }
  return result;
}

}  // namespace kcni::cleanup
