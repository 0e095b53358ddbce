// JSON as the API server sends it, and safe ways into it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace kcni::kube {

using Json = nlohmann::json;

/// The value at a JSON pointer ("/spec/nodeName"), or a null value when any part of it is missing.
/// The reference lives as long as the object.
const Json& at(const Json& object, std::string_view pointer);

/// The string at a JSON pointer, or fallback when it is missing or no string.
std::string text_at(const Json& object, std::string_view pointer, std::string fallback = "");

/// The integer at a JSON pointer, or fallback.
long number_at(const Json& object, std::string_view pointer, long fallback = 0);

/// True only when the pointer leads to true.
bool flag_at(const Json& object, std::string_view pointer);

/// metadata.labels[key] or annotations[key]; keys may hold slashes, which a pointer would split.
std::string label_of(const Json& object, const std::string& key, std::string fallback = "");
std::string annotation_of(const Json& object, const std::string& key, std::string fallback = "");
bool has_label(const Json& object, const std::string& key);

std::string name_of(const Json& object);
std::string namespace_of(const Json& object);
std::string uid_of(const Json& object);

/// "namespace/name", or "name" alone when there is no namespace.
std::string key_of(const Json& object);

/// The ownerReference with controller=true, or a null value.
const Json& controller_of(const Json& object);

/// metadata.deletionTimestamp is set.
bool terminating(const Json& object);

}  // namespace kcni::kube
