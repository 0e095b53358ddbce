// Picking some of many nodes by a rule that can be said in one line. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/cni/label_plan.h"

namespace kcni::cni {

/// --count: a number, or "half": n/2+1 of n, as the migration's first half, but never all. Throws
/// Error (kUsage) for anything else.
std::size_t parse_count(const std::string& text, std::size_t of_nodes);

/// `count` of these nodes: those that already are as wished, so that running it twice changes
/// nothing, then those that are Ready and not cordoned, fewest pods that would have to move first,
/// then by name. Nodes that --from excludes are no candidates. Throws Error (kRefused) that says
/// why there are too few.
std::vector<kube::Json> choose_nodes(std::vector<kube::Json> nodes,
                                     const std::vector<kube::Json>& pods, std::size_t count,
                                     const LabelWish& wish);

}  // namespace kcni::cni
