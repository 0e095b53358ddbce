// What an unquoted YAML scalar means.
#pragma once

#include <string>

#include "common/kube/json.h"

namespace kcni::kube {

/// null, a boolean, a number or the text itself, by YAML 1.1 as go-yaml v2 reads it.
Json plain_scalar(const std::string& text);

}  // namespace kcni::kube
