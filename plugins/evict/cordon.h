// Cordoning a Node, and taking that back.
#pragma once

#include "common/cli/command.h"

namespace kcni::evict {

/// A node that the command is to empty.
struct Target {
  kube::Json node;
  bool cordoned_by_us = false;
  bool given_up = false;  ///< its cordon does not hold
  bool begun = false;
  bool done = false;
  bool told = false;  ///< a message has said that it stays cordoned

  std::string name() const { return kube::name_of(node); }
};

/// Cordons it and looks whether that holds; says so. kubectl drain prints a failed cordon and goes
/// on: evicted pods would come straight back. Throws Error.
Task<> cordon(cli::Context& context, Target& target);

/// Throws Error (kFailed) when somebody else has uncordoned it.
Task<> check_cordon(cli::Context& context, const Target& target);

/// Also after Ctrl-C. Throws Error.
Task<> uncordon(cli::Context& context, Target& target);

}  // namespace kcni::evict
