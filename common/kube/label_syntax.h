// What a label may look like, checked before anything is sent.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
#pragma once

#include <string>

namespace kcni::kube {

/// "cni", "example.com/cni". Throws Error (kUsage) that names the flag.
void check_label_key(const std::string& flag, const std::string& key);

/// At most 63 letters, digits, '-', '_' and '.', the first and last of them a letter or digit.
/// Throws Error (kUsage) that names the flag.
void check_label_value(const std::string& flag, const std::string& value);

}  // namespace kcni::kube
