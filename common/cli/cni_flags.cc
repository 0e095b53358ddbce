#include "common/cli/cni_flags.h"

namespace kcni::cli {

void add_selection_flags(cxxopts::OptionAdder& add) {
  add("l,selector", "Label selector", cxxopts::value<std::string>(), "SELECTOR");
  add("all", "All nodes", cxxopts::value<bool>());
}

void add_daemonset_flags(cxxopts::OptionAdder& add) {
  add("flannel-daemonset", "flannel's DaemonSet, when it is not recognised",
      cxxopts::value<std::string>(), "NAMESPACE/NAME");
  add("cilium-daemonset", "Cilium's DaemonSet, when it is not recognised",
      cxxopts::value<std::string>(), "NAMESPACE/NAME");
}

cni::NodeSelection node_selection(const Context& context) {
  require_one_selection(context, "node");
  cni::NodeSelection selection;
  selection.names = context.args();
  selection.label_selector = context.flags().text("selector");
  selection.all = context.flags().flag("all");
  return selection;
}

cni::NamedDaemonSets named_daemonsets(const Context& context) {
  return {context.flags().text("flannel-daemonset"), context.flags().text("cilium-daemonset")};
}

}  // namespace kcni::cli
