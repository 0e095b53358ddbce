// The command `evict`.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "common/cli/command.h"
#include "common/cni/eviction_plan.h"

namespace kcni::evict {

cli::Command evict_command();

struct Options {
  cni::EvictionRules rules;
  bool recycle = false;
  bool disable_eviction = false;
  bool surge = false;
  bool wait_for_replacements = false;
  bool wait_for_cni_gone = false;
  bool uncordon = false;
  bool uncordon_on_failure = false;
  std::size_t nodes_in_parallel = 1;
  Milliseconds stuck_after{0};
  std::optional<long> grace_period;
  std::string pod_selector;
  std::string key;
};

/// Cordons the nodes that the command line names and empties them. Throws Error.
Task<> run(cli::Context& context, Options options);

}  // namespace kcni::evict
