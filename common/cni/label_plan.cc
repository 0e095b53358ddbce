#include "common/cni/label_plan.h"

#include "common/cni/names.h"

namespace kcni::cni {

using kube::Json;

LabelChange plan_label(const Json& node, const LabelWish& wish) {
  using Kind = LabelChange::Kind;
  bool has = kube::has_label(node, wish.key);
  auto current = kube::label_of(node, wish.key);
  bool ours = kube::annotation_of(node, kLabelKeyAnnotation) == wish.key;
  if (wish.from && (wish.from->empty() ? has : !has || current != *wish.from)) {
    return {Kind::kSkipped, current};
  }
  if (has && !ours && !wish.overwrite) return {Kind::kForeign, current};
  // An annotation without its label is what is left of ours when somebody else took the label off.
  if (!wish.value) return {has || ours ? Kind::kRemove : Kind::kUnchanged, current};
  return {has && ours && current == *wish.value ? Kind::kUnchanged : Kind::kSet, current};
}

Json label_patch(const Json& node, const LabelWish& wish) {
  Json metadata;
  metadata["resourceVersion"] = kube::text_at(node, "/metadata/resourceVersion");
  metadata["labels"][wish.key] = wish.value ? Json(*wish.value) : Json();
  metadata["annotations"][kLabelKeyAnnotation] = wish.value ? Json(wish.key) : Json();
  return {{"metadata", metadata}};
}

}  // namespace kcni::cni
