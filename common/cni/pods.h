// What kind of pod a pod is, as kubectl drain tells them apart (kubectl/pkg/drain/filters.go).
#pragma once

#include <string>

#include "common/kube/json.h"

namespace kcni::cni {

/// Succeeded or Failed: it runs nothing and holds no address.
bool finished(const kube::Json& pod);
bool on_host_network(const kube::Json& pod);
/// A static pod's image in the API; only its kubelet can end it.
bool is_mirror(const kube::Json& pod);
bool has_empty_dir(const kube::Json& pod);
/// Its controller is a DaemonSet.
bool of_daemonset(const kube::Json& pod);
/// No controller would make it anew.
bool is_bare(const kube::Json& pod);
std::string node_of(const kube::Json& pod);
/// "pod/web in namespace shop", for messages.
std::string place_of(const kube::Json& pod);

}  // namespace kcni::cni
