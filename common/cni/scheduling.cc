#include "common/cni/scheduling.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace kcni::cni {

using kube::at;
using kube::Json;
using kube::text_at;

namespace {

constexpr const char* kRequiredTerms =
    "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";

bool has_value(const Json& expression, const std::string& value) {
  const Json& values = at(expression, "/values");
  return std::find(values.begin(), values.end(), Json(value)) != values.end();
}

std::optional<long> integer(const std::string& text) {
  long value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool compares(const Json& expression, const std::string& value, bool greater) {
  auto ours = integer(value);
  auto theirs = integer(text_at(expression, "/values/0"));
  return ours && theirs && (greater ? *ours > *theirs : *ours < *theirs);
}

// value: nullopt when the node has no such label or field.
bool holds(const Json& expression, const std::optional<std::string>& value) {
  auto op = text_at(expression, "/operator");
  if (op == "Exists") return value.has_value();
  if (op == "DoesNotExist") return !value;
  if (op == "NotIn") return !value || !has_value(expression, *value);
  if (!value) return false;
  if (op == "In") return has_value(expression, *value);
  if (op == "Gt" || op == "Lt") return compares(expression, *value, op == "Gt");
  return false;
}

std::optional<std::string> label_value(const Json& node, const std::string& key) {
  if (!kube::has_label(node, key)) return std::nullopt;
  return kube::label_of(node, key);
}

bool term_holds(const Json& term, const Json& node) {
  const Json& labels = at(term, "/matchExpressions");
  const Json& fields = at(term, "/matchFields");
  if (labels.empty() && fields.empty()) return false;  // an empty term matches nothing
  for (const auto& expression : labels) {
    if (!holds(expression, label_value(node, text_at(expression, "/key")))) return false;
  }
  return std::all_of(fields.begin(), fields.end(), [&](const Json& expression) {
    return holds(expression, kube::name_of(node));  // metadata.name is the only field there is
  });
}

}  // namespace

bool may_run_on(const Json& pod_spec, const Json& node) {
  for (const auto& [key, value] : at(pod_spec, "/nodeSelector").items()) {
    if (label_value(node, key) != value.get<std::string>()) return false;
  }
  const Json& terms = at(pod_spec, kRequiredTerms);
  if (terms.is_null()) return true;
  return std::any_of(terms.begin(), terms.end(),
                     [&](const Json& term) { return term_holds(term, node); });
}

bool tolerates(const Json& pod_spec, const Json& taint) {
  const Json& tolerations = at(pod_spec, "/tolerations");
  return std::any_of(tolerations.begin(), tolerations.end(), [&](const Json& toleration) {
    auto effect = text_at(toleration, "/effect");
    auto key = text_at(toleration, "/key");
    bool any_value = text_at(toleration, "/operator") == "Exists";
    return (effect.empty() || effect == text_at(taint, "/effect")) &&
           (key.empty() || key == text_at(taint, "/key")) &&
           (any_value || text_at(toleration, "/value") == text_at(taint, "/value"));
  });
}

bool kept_off_by_cordon(const Json& pod_spec) {
  static const Json kCordon = {{"key", "node.kubernetes.io/unschedulable"},
                               {"effect", "NoSchedule"}};
  return !tolerates(pod_spec, kCordon);
}

bool takes_pod(const Json& node, const Json& pod_spec) {
  if (kube::flag_at(node, "/spec/unschedulable") && kept_off_by_cordon(pod_spec)) return false;
  const Json& taints = at(node, "/spec/taints");
  bool repels = std::any_of(taints.begin(), taints.end(), [&](const Json& taint) {
    return text_at(taint, "/effect") != "PreferNoSchedule" && !tolerates(pod_spec, taint);
  });
  return !repels && may_run_on(pod_spec, node);
}

bool selector_matches(const Json& label_selector, const Json& object) {
  if (!label_selector.is_object()) return false;
  for (const auto& [key, value] : at(label_selector, "/matchLabels").items()) {
    if (label_value(object, key) != value.get<std::string>()) return false;
  }
  const Json& expressions = at(label_selector, "/matchExpressions");
  return std::all_of(expressions.begin(), expressions.end(), [&](const Json& expression) {
    return holds(expression, label_value(object, text_at(expression, "/key")));
  });
}

std::string selected_value(const Json& pod_spec, const std::string& key) {
  const Json& selector = at(pod_spec, "/nodeSelector");
  return selector.is_object() ? selector.value(key, "") : "";
}

bool selects_key(const Json& pod_spec, const std::string& key) {
  const Json& selector = at(pod_spec, "/nodeSelector");
  if (selector.is_object() && selector.contains(key)) return true;
  for (const auto& term : at(pod_spec, kRequiredTerms)) {
    for (const auto& expression : at(term, "/matchExpressions")) {
      if (text_at(expression, "/key") == key) return true;
    }
  }
  return false;
}

}  // namespace kcni::cni
