// Changing a nodeSelector in YAML or JSON text without touching anything around it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kcni::cni {

struct SelectorChange {
  std::string pod_spec;  ///< JSON pointer of the pod spec in the document
  std::string key;
  std::optional<std::string> value;  ///< nullopt: the key is there and goes
};

/// One document's text with the nodeSelectors changed, or nullopt when that cannot be done line by
/// line. It goes by positions alone, so the caller must parse the result and compare: anchors,
/// merge keys and scalars of several lines come out wrong. quoted: keys and values are written as
/// JSON wants them.
std::optional<std::string> edit_selectors(std::string_view text,
                                          const std::vector<SelectorChange>& changes, bool quoted);

}  // namespace kcni::cni
