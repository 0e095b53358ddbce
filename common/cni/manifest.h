// The filter behind `kubectl cni pin -f`: a nodeSelector into a manifest, on its way to `kubectl
// apply -f -`. Needs neither kubeconfig nor server.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kcni::cni {

struct ManifestPin {
  std::string key;
  std::string value;  ///< not used by remove
  /// KIND/NAME as a user types it ("ds/cilium", "daemonset.apps/cilium"), in whatever namespace.
  /// Empty: the DaemonSet of the Cilium agent, found by what it is.
  std::vector<std::string> selection;
  bool remove = false;     ///< take the key off, and a nodeSelector that is empty then
  bool overwrite = false;  ///< replace another value of the key
};

/// The manifest with the chosen objects' nodeSelector changed: multi-document YAML, JSON (one
/// object or many in a row), and Lists of either. Documents that hold none of the chosen objects
/// are given back byte for byte, and of one that does only the nodeSelector's own lines differ.
/// Where those cannot be changed alone (anchors and merge keys on the way to them), that one
/// document is written anew as JSON, which is YAML too.
///
/// Throws Error: kUsage for a bad selection; kFailed with the line of what is no YAML, and when
/// a chosen object is not there; kRefused when the key has another value, and when there is more
/// than one Cilium agent to choose from.
std::string pin_manifest(std::string_view manifest, const ManifestPin& pin);

}  // namespace kcni::cni
