#include "common/kube/config_fields.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/base64.h"
#include "common/base/file.h"

namespace kcni::kube {

namespace {

const Json kNull;
const Json kEmptyObject = Json::object();

}  // namespace

ConfigFields::ConfigFields(const Json& object, std::string file, std::string where)
    : object_(&object), file_(std::move(file)), where_(std::move(where)) {}

Error ConfigFields::problem(const std::string& field, std::string_view what) const {
  return failed(fmt::format("kubeconfig {}: {}{}{} {}", file_, where_, where_.empty() ? "" : ": ",
                            field, what));
}

std::string ConfigFields::field_name(const std::string& key) const {
  return where_.empty() ? key : where_ + "." + key;
}

const Json& ConfigFields::value(const std::string& key) const {
  const auto found = object_->find(key);
  return found == object_->end() ? kNull : *found;
}

std::string ConfigFields::text(const std::string& key) const {
  const auto& field = value(key);
  if (field.is_null()) return "";
  if (!field.is_string()) throw problem(key, "must be a string (put it in quotes)");
  return field.get<std::string>();
}

bool ConfigFields::flag(const std::string& key) const {
  const auto& field = value(key);
  if (field.is_null()) return false;
  if (!field.is_boolean()) throw problem(key, "must be true or false");
  return field.get<bool>();
}

std::string ConfigFields::path(const std::string& key) const {
  return resolve_path(text(key), directory_of(file_));
}

std::string ConfigFields::bytes(const std::string& key) const {
  auto decoded = base64_decode(text(key));
  if (!decoded) throw problem(key, "is not valid base64");
  return *std::move(decoded);
}

std::vector<std::string> ConfigFields::texts(const std::string& key) const {
  const auto& field = value(key);
  std::vector<std::string> result;
  if (field.is_null()) return result;
  if (!field.is_array()) throw problem(key, "must be a list of strings");
  for (const auto& item : field) {
    if (!item.is_string()) throw problem(key, "must be a list of strings (put each in quotes)");
    result.push_back(item.get<std::string>());
  }
  return result;
}

ConfigFields ConfigFields::object(const std::string& key) const {
  const auto& field = value(key);
  if (field.is_null()) return {kEmptyObject, file_, field_name(key)};
  if (!field.is_object()) throw problem(key, "must be a map");
  return {field, file_, field_name(key)};
}

std::vector<ConfigFields> ConfigFields::objects(const std::string& key) const {
  const auto& field = value(key);
  std::vector<ConfigFields> result;
  if (field.is_null()) return result;
  if (!field.is_array()) throw problem(key, "must be a list");
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (!field[i].is_object()) throw problem(fmt::format("{}[{}]", key, i), "must be a map");
    result.emplace_back(field[i], file_, fmt::format("{}[{}]", field_name(key), i));
  }
  return result;
}

std::vector<std::string> ConfigFields::keys() const {
  std::vector<std::string> result;
  for (const auto& [key, field] : object_->items()) result.push_back(key);
  return result;
}

}  // namespace kcni::kube
