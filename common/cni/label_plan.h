// What labelling a node would change: a pure function of the Node as read.
#pragma once

#include <optional>
#include <string>

#include "common/kube/json.h"

namespace kcni::cni {

struct LabelWish {
  std::string key;
  std::optional<std::string> value;  ///< nullopt: remove the label
  std::optional<std::string> from;   ///< act only on nodes with this value; "": without the label
  bool overwrite = false;            ///< also over a label that is not ours
};

struct LabelChange {
  enum class Kind {
    kSet,        ///< patch it
    kRemove,     ///< patch it away
    kUnchanged,  ///< it is as wished
    kSkipped,    ///< --from does not fit
    kForeign,    ///< the label is somebody else's: refused
  };
  Kind kind;
  std::string current;  ///< the value now, "" when none
};

LabelChange plan_label(const kube::Json& node, const LabelWish& wish);

/// The merge patch. It carries the resourceVersion that the plan was made from, so that a change by
/// somebody else in between is a conflict and not overwritten.
kube::Json label_patch(const kube::Json& node, const LabelWish& wish);

}  // namespace kcni::cni
