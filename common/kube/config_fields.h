// Typed access to the fields of a kubeconfig, with messages that name file, entry and field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/kube/json.h"

namespace kcni::kube {

/// One object of a kubeconfig. Everything is optional: a missing or null field reads as empty.
/// A field of the wrong type throws problem(). Refers to the JSON that it was made from.
class ConfigFields {
 public:
  ConfigFields(const Json& object, std::string file, std::string where = "");

  std::string text(const std::string& key) const;
  bool flag(const std::string& key) const;
  std::string path(const std::string& key) const;   ///< resolved against the file's directory
  std::string bytes(const std::string& key) const;  ///< base64, decoded
  std::vector<std::string> texts(const std::string& key) const;
  ConfigFields object(const std::string& key) const;
  std::vector<ConfigFields> objects(const std::string& key) const;
  const Json& value(const std::string& key) const;
  std::vector<std::string> keys() const;

  /// How messages are to call this object, instead of its place in the file.
  void rename(std::string where) { where_ = std::move(where); }
  const std::string& file() const { return file_; }

  /// "kubeconfig FILE: user "x": FIELD <what>".
  Error problem(const std::string& field, std::string_view what) const;

 private:
  std::string field_name(const std::string& key) const;

  const Json* object_;
  std::string file_;
  std::string where_;
};

}  // namespace kcni::kube
