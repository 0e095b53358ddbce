#include "common/cni/manifest.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/manifest_edit.h"
#include "common/cni/manifest_split.h"
#include "common/cni/workloads.h"
#include "common/kube/json.h"
#include "common/kube/resource.h"
#include "common/kube/yaml_json.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Where a kind has its pod spec; "" when it owns no pods.
std::string pod_spec_path(std::string_view kind) {
  const auto* resource = kube::find_resource(kind);
  const auto& kinds = workload_kinds();
  const bool owns = std::find(kinds.begin(), kinds.end(), resource) != kinds.end();
  return owns || resource == &kube::kPods ? pod_spec_pointer(*resource) : "";
}

/// "daemonset.apps/cilium": by kind alone, for manifests may have apiVersions of old.
std::string display(const std::string& kind, const std::string& name) {
  const auto* resource = kube::find_resource(kind);
  return resource ? resource->display(name) : kind + "/" + name;
}

/// An object of a document, which may be an item of a List.
struct Object {
  std::string pointer;
  std::string kind;
  const Json* json;

  std::string display_name() const { return display(kind, kube::name_of(*json)); }
};

/// What the user asked for.
class Selection {
 public:
  explicit Selection(const std::vector<std::string>& words) {
    for (const auto& word : words) wanted_.emplace_back(parse(word), false);
  }

  bool by_default() const { return wanted_.empty(); }

  /// A document of this kind may hold a chosen object. Others need not even make sense.
  bool concerns(std::string_view kind) const {
    if (kind.ends_with("List")) return true;
    if (by_default()) return kind == "DaemonSet";
    return std::any_of(wanted_.begin(), wanted_.end(),
                       [&](const auto& wanted) { return wanted.first.first == kind; });
  }

  bool takes(const Object& object) {
    if (by_default()) return object.kind == "DaemonSet" && cni_of(*object.json) == Cni::kCilium;
    bool taken = false;
    for (auto& [wanted, found] : wanted_) {
      if (wanted.first != object.kind || wanted.second != kube::name_of(*object.json)) continue;
      found = taken = true;
    }
    return taken;
  }

  /// Throws Error when takes() has not found everything, or too much.
  void require_found(const std::vector<std::string>& taken,
                     const std::vector<std::string>& seen) const {
    if (by_default() && taken.size() > 1) {
      throw refused(
          fmt::format("the manifest has {} Cilium agents: {}; choose with --select "
                      "KIND/NAME",
                      taken.size(), some_of(taken)));
    }
    if (by_default() && taken.empty()) {
      throw missing(
          "DaemonSet of the Cilium agent (label k8s-app=cilium or a container "
          "cilium-agent)",
          seen);
    }
    for (const auto& [wanted, found] : wanted_) {
      if (!found) throw missing(display(wanted.first, wanted.second), seen);
    }
  }

 private:
  using KindAndName = std::pair<std::string, std::string>;

  static KindAndName parse(const std::string& word) {
    const auto slash = word.find('/');
    const auto* resource =
        slash == word.npos ? nullptr : kube::find_resource(word.substr(0, slash));
    if (!resource || slash + 1 == word.size() || pod_spec_path(resource->kind).empty()) {
      throw wrong_usage(
          fmt::format("invalid value \"{}\" for --select: want KIND/NAME of an object "
                      "with pods, such as daemonset/cilium",
                      word));
    }
    return {resource->kind, word.substr(slash + 1)};
  }

  static Error missing(const std::string& what, const std::vector<std::string>& seen) {
    return failed(fmt::format(
        "there is no {} in the manifest; {}", what,
        seen.empty() ? "nothing like it is there"
                     : "there is " + some_of(seen) + " (choose with --select KIND/NAME)"));
  }

  std::vector<std::pair<KindAndName, bool>> wanted_;
};

Error invalid(const std::string& problem) {
  return failed("invalid manifest: " + problem);
}

void require_text(std::string_view text, std::size_t first_line) {
  auto line = first_line;
  for (unsigned char c : text) {
    if (c == '\n') ++line;
    if (c < 0x20 && c != '\n' && c != '\r' && c != '\t') {
      throw invalid(fmt::format("line {}: control characters are not allowed", line));
    }
  }
}

/// The kind of a document that is YAML; "" when it has none. Throws Error when it is no YAML.
std::string kind_in(std::string_view text, std::size_t first_line) {
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsMap()) return "";
    const auto kind = root["kind"];
    return kind && kind.IsScalar() ? kind.Scalar() : "";
  } catch (const YAML::Exception& error) {
    if (error.mark.is_null()) throw invalid(error.msg);
    const auto line = first_line + static_cast<std::size_t>(error.mark.line);
    throw invalid(fmt::format("line {}: {}", line, error.msg));
  }
}

/// JSON is told apart by its first character, so what leads up to it is left out.
Json parse(std::string_view text, bool json, std::size_t lines_before = 0) {
  if (json) text.remove_prefix(leading_size(text));
  return kube::parse_yaml(std::string(lines_before, '\n').append(text));
}

/// The document's value, or null when the selection has nothing to do with it.
Json read_document(const Document& document, std::size_t first_line, const Selection& selection) {
  require_text(document.text, first_line);
  if (!document.json && !selection.concerns(kind_in(document.text, first_line))) return nullptr;
  try {
    return parse(document.text, document.json, first_line - 1);
  } catch (const Error& error) {
    throw invalid(error.what());
  }
}

/// The object itself or, of a List, its items. Typed lists may leave out their items' kind.
void collect(const Json& json, const std::string& pointer, const std::string& default_kind,
             std::vector<Object>& objects) {
  const auto kind = kube::text_at(json, "/kind", default_kind);
  const auto& items = kube::at(json, "/items");
  if (!kind.ends_with("List") || !items.is_array()) {
    if (json.is_object()) objects.push_back({pointer, kind, &json});
    return;
  }
  const auto item_kind = kind.substr(0, kind.size() - 4);
  for (std::size_t i = 0; i < items.size(); ++i) {
    collect(items[i], fmt::format("{}/items/{}", pointer, i), item_kind, objects);
  }
}

/// Changes the object's nodeSelector in `document`; nullopt when there is nothing to change.
std::optional<SelectorChange> change(Json& document, const Object& object, const ManifestPin& pin) {
  const auto path = object.pointer + pod_spec_path(object.kind);
  if (!kube::at(document, path).is_object()) {
    throw failed(fmt::format("{} has no pod template", object.display_name()));
  }
  Json& pod_spec = document[Json::json_pointer(path)];
  const Json selector = kube::at(pod_spec, "/nodeSelector");
  if (!selector.is_object() && !selector.is_null()) {
    throw failed(fmt::format("the nodeSelector of {} is no map", object.display_name()));
  }
  const bool present = selector.contains(pin.key);
  if (pin.remove) {
    if (!present) return std::nullopt;
    pod_spec["nodeSelector"].erase(pin.key);
    if (pod_spec["nodeSelector"].empty()) pod_spec.erase("nodeSelector");
    return SelectorChange{path, pin.key, std::nullopt};
  }
  if (present && selector[pin.key] == pin.value) return std::nullopt;
  if (present && !pin.overwrite) {
    const auto& old = selector[pin.key];
    throw refused(fmt::format("{} already has the nodeSelector {}={}; --overwrite replaces it",
                              object.display_name(), pin.key,
                              old.is_string() ? old.get<std::string>() : old.dump()));
  }
  pod_spec["nodeSelector"][pin.key] = pin.value;
  return SelectorChange{path, pin.key, pin.value};
}

/// Positions may have misled the editor: only what parses to just the value wanted is good.
bool means(const std::string& text, bool json, const Json& wanted) {
  try {
    return parse(text, json) == wanted;
  } catch (const Error&) {
    return false;
  }
}

std::string as_json(std::string_view text, const Json& value) {
  return std::string(text.substr(0, leading_size(text))) + value.dump(2) + "\n";
}

std::string pin_document(const Document& document, const Json& value,
                         const std::vector<Object>& targets, const ManifestPin& pin) {
  Json wanted = value;
  std::vector<SelectorChange> changes;
  for (const auto& target : targets) {
    if (auto made = change(wanted, target, pin)) changes.push_back(std::move(*made));
  }
  if (changes.empty()) return std::string(document.text);
  const auto edited = edit_selectors(document.text, changes, document.json);
  return edited && means(*edited, document.json, wanted) ? *edited : as_json(document.text, wanted);
}

}  // namespace

std::string pin_manifest(std::string_view manifest, const ManifestPin& pin) {
  Selection selection(pin.selection);
  std::string result;
  if (manifest.starts_with(kByteOrderMark)) {
    result = kByteOrderMark;
    manifest.remove_prefix(kByteOrderMark.size());
  }
  std::size_t line = 1;
  std::vector<std::string> taken, seen;
  for (const auto& document : split_documents(manifest)) {
    const auto value = read_document(document, line, selection);
    line += static_cast<std::size_t>(std::count(document.text.begin(), document.text.end(), '\n'));
    std::vector<Object> objects, targets;
    collect(value, "", "", objects);
    for (const auto& object : objects) {
      if (selection.concerns(object.kind)) seen.push_back(object.display_name());
      if (!selection.takes(object)) continue;
      targets.push_back(object);
      taken.push_back(object.display_name());
    }
    result += pin_document(document, value, targets, pin);
  }
  selection.require_found(taken, seen);
  return result;
}

}  // namespace kcni::cni
