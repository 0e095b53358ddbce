// YAML as kubectl reads it: turned into JSON by the rules of YAML 1.1 as sigs.k8s.io/yaml has them
// ("yes" and 017 are a boolean and a number unless they are quoted), merge keys included.
#pragma once

#include <string>
#include <vector>

#include "common/kube/json.h"

namespace kcni::kube {

/// The first document of a YAML or JSON text; null when it is empty. Throws Error (kFailed) saying
/// "line N: what is wrong", without anything of the contents but the name of a duplicate key:
/// syntax, duplicate keys, text that is not UTF-8, and aliases that refer to themselves or
/// multiply.
Json parse_yaml(const std::string& text);

/// All documents, empty ones left out.
std::vector<Json> parse_yaml_documents(const std::string& text);

}  // namespace kcni::kube
