#include "common/kube/json.h"

#include <charconv>

namespace kcni::kube {

namespace {

const Json null_value;

const Json& member(const Json& object, std::string_view name) {
  if (object.is_object()) {
    auto found = object.find(name);
    return found == object.end() ? null_value : *found;
  }
  if (object.is_array()) {
    std::size_t index = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    bool whole = error == std::errc() && end == name.data() + name.size();
    return whole && index < object.size() ? object[index] : null_value;
  }
  return null_value;
}

std::string entry_of(const Json& object, const char* map, const std::string& key,
                     std::string fallback) {
  const Json& value = member(at(object, map), key);
  return value.is_string() ? value.get<std::string>() : std::move(fallback);
}

}  // namespace

const Json& at(const Json& object, std::string_view pointer) {
  const Json* here = &object;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    auto end = pointer.find('/');
    here = &member(*here, pointer.substr(0, end));
    pointer = end == std::string_view::npos ? std::string_view() : pointer.substr(end);
  }
  return *here;
}

std::string text_at(const Json& object, std::string_view pointer, std::string fallback) {
  const Json& value = at(object, pointer);
  return value.is_string() ? value.get<std::string>() : std::move(fallback);
}

long number_at(const Json& object, std::string_view pointer, long fallback) {
  const Json& value = at(object, pointer);
  return value.is_number_integer() ? value.get<long>() : fallback;
}

bool flag_at(const Json& object, std::string_view pointer) {
  const Json& value = at(object, pointer);
  return value.is_boolean() && value.get<bool>();
}

std::string label_of(const Json& object, const std::string& key, std::string fallback) {
  return entry_of(object, "/metadata/labels", key, std::move(fallback));
}

std::string annotation_of(const Json& object, const std::string& key, std::string fallback) {
  return entry_of(object, "/metadata/annotations", key, std::move(fallback));
}

bool has_label(const Json& object, const std::string& key) {
  const Json& labels = at(object, "/metadata/labels");
  return labels.is_object() && labels.contains(key);
}

std::string name_of(const Json& object) {
  return text_at(object, "/metadata/name");
}

std::string namespace_of(const Json& object) {
  return text_at(object, "/metadata/namespace");
}

std::string uid_of(const Json& object) {
  return text_at(object, "/metadata/uid");
}

std::string key_of(const Json& object) {
  auto ns = namespace_of(object);
  return ns.empty() ? name_of(object) : ns + "/" + name_of(object);
}

const Json& controller_of(const Json& object) {
  for (const auto& owner : at(object, "/metadata/ownerReferences")) {
    if (flag_at(owner, "/controller")) return owner;
  }
  return null_value;
}

bool terminating(const Json& object) {
  return !at(object, "/metadata/deletionTimestamp").is_null();
}

}  // namespace kcni::kube
