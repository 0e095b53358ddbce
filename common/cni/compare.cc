#include "common/cni/compare.h"

#include <fmt/format.h>

#include <algorithm>

namespace kcni::cni {

namespace {

using kube::Json;

const Json nothing;

const Json& member(const Json& object, const std::string& key) {
  auto found = object.find(key);
  return found == object.end() ? nothing : *found;
}

std::string difference(const Json& wanted, const Json& found, Extra extra, const std::string& path);

std::string objects_differ(const Json& wanted, const Json& found, Extra extra,
                           const std::string& path) {
  auto prefix = path.empty() ? "" : path + ".";
  for (const auto& [key, value] : wanted.items()) {
    auto where = difference(value, member(found, key), extra, prefix + key);
    if (!where.empty()) return where;
  }
  if (extra == Extra::kIgnored) return "";
  for (const auto& [key, value] : found.items()) {
    if (!value.is_null() && member(wanted, key).is_null()) return prefix + key;
  }
  return "";
}

bool among(const Json& wanted, const Json& found) {
  return std::any_of(found.begin(), found.end(), [&](const Json& candidate) {
    return difference(wanted, candidate, Extra::kIgnored, "").empty();
  });
}

std::string arrays_differ(const Json& wanted, const Json& found, Extra extra,
                          const std::string& path) {
  bool in_order = extra == Extra::kDiffers || wanted.empty() || !wanted[0].is_object();
  if (in_order && wanted.size() != found.size()) return path;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    auto item = fmt::format("{}[{}]", path, i);
    if (!in_order) {
      if (!among(wanted[i], found)) return item;
      continue;
    }
    auto where = difference(wanted[i], found[i], extra, item);
    if (!where.empty()) return where;
  }
  return "";
}

std::string difference(const Json& wanted, const Json& found, Extra extra,
                       const std::string& path) {
  if (wanted.is_null() && extra == Extra::kIgnored) return "";
  if (wanted.is_object() && found.is_object()) return objects_differ(wanted, found, extra, path);
  if (wanted.is_array() && found.is_array()) return arrays_differ(wanted, found, extra, path);
  if (wanted == found) return "";
  return path.empty() ? "all" : path;
}

}  // namespace

Json fresh_metadata(const Json& metadata) {
  Json fresh = Json::object();
  for (const char* key : {"name", "namespace", "labels", "annotations", "ownerReferences",
                          "finalizers", "generateName"}) {
    const Json& value = member(metadata, key);
    if (!value.is_null()) fresh[key] = value;
  }
  return fresh;
}

std::string first_difference(const Json& wanted, const Json& found, Extra extra) {
  return difference(wanted, found, extra, "");
}

}  // namespace kcni::cni
