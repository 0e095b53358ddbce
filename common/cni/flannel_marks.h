// What flannel wrote on the Node objects: its annotations and the condition NetworkUnavailable.
#pragma once

#include <string>
#include <vector>

#include "common/cni/residue.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// Residue of kind "mark": each annotation flannel.alpha.coreos.com/*, and the condition
/// NetworkUnavailable when its reason is flannel's (FlannelIsUp: flannel, pkg/subnet/kube). The
/// same condition by another CNI (CiliumIsUp) is none.
std::vector<Residue> flannel_marks(const kube::Json& node);

/// What would take them off by hand: kubectl's commands.
std::vector<std::string> commands_to_remove_marks(const kube::Json& node);

/// Takes these off the Node and nothing else; whoever changes the Node at the same moment loses
/// nothing. Returns what it took off. Throws ApiError.
Task<std::vector<Residue>> remove_flannel_marks(kube::Client client, std::string node);

}  // namespace kcni::cni
