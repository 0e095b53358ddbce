// Choosing nodes, and reading what a Node says.
#pragma once

#include <string>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

/// Which nodes a command is about: names, or a label selector, or all of them, or one role.
struct NodeSelection {
  std::vector<std::string> names;  ///< "w1" or "node/w1"
  std::string label_selector;
  bool all = false;
  bool workers = false;
  bool control_plane = false;
};

/// Has the role label control-plane, or its forerunner master.
bool is_control_plane(const kube::Json& node);
bool is_cordoned(const kube::Json& node);

/// The selected nodes, names in the order given, others by name. Names are all looked up before
/// anything is returned. Throws ApiError (NotFound) for the first unknown one; Error (kFailed) when
/// a selector selects none. metadata_only leaves out spec and status.
Task<std::vector<kube::Json>> select_nodes(kube::Client client, NodeSelection selection,
                                           bool metadata_only);

}  // namespace kcni::cni
