// --diff: what a change does to objects, shown as `kubectl diff` shows it.
#pragma once

#include <string>
#include <vector>

#include "common/kube/json.h"

namespace kcni::cli {

class Diff {
 public:
  /// Only what the merge patch speaks of is shown: the rest of an object may hold secrets.
  /// name: "apps.v1.Deployment.shop.web", as kubectl diff names its files.
  void add(const std::string& name, const kube::Json& object, const kube::Json& merge_patch);

  /// The output of diff(1), or of KUBECTL_EXTERNAL_DIFF, over all objects; "" when nothing differs.
  /// Throws Error (kFailed) when that cannot be run.
  std::string text() const;

 private:
  struct Entry {
    std::string name;
    kube::Json before, after;
  };
  std::vector<Entry> entries_;
};

/// "apps.v1.Deployment.shop.web"
std::string diff_name(const kube::Json& object, const std::string& api_version,
                      const std::string& kind);

}  // namespace kcni::cli
