#include "plugins/label/label.h"

#include <fmt/format.h>

#include "common/base/text.h"
#include "common/cli/cni_flags.h"
#include "common/cli/diff.h"
#include "common/cli/mending.h"
#include "common/cni/cni_wait.h"
#include "common/cni/label_plan.h"
#include "common/cni/names.h"
#include "common/cni/node_choice.h"
#include "common/cni/nodes.h"
#include "common/cni/scheduling.h"
#include "common/cni/workloads.h"
#include "common/kube/label_syntax.h"

namespace kcni::label {

using cni::LabelChange;
using cni::LabelWish;
using kube::Json;

namespace {

constexpr int kMaxReplans = 5;

void add_flags(cxxopts::OptionAdder& add) {
  cli::add_selection_flags(add);
  add("workers", "All nodes that are no control plane", cxxopts::value<bool>());
  add("control-plane", "All control-plane nodes", cxxopts::value<bool>());
  add("count",
      "Only N of these nodes, or half (n/2+1 of n, never all): those that have the label already, "
      "then Ready ones that are not cordoned, fewest pods to move first",
      cxxopts::value<std::string>(), "N");
  add("to", "Give the nodes the label KEY=VALUE", cxxopts::value<std::string>(), "VALUE");
  add("remove", "Take the label off", cxxopts::value<bool>());
  add("from", "Only nodes that have this value now; '' for those without the label",
      cxxopts::value<std::string>(), "VALUE");
  add("wait", "Wait until the CNI's pods have left and come as the labels say",
      cxxopts::value<bool>());
  add("diff", "Show what changes, as diff -u does; with --dry-run nothing else happens",
      cxxopts::value<bool>());
  add("overwrite", "Also change a label that was there before us", cxxopts::value<bool>());
  add("force", "With --remove: although workloads or pods still select the label",
      cxxopts::value<bool>());
  cli::add_daemonset_flags(add);
}

LabelWish wish_from(const cli::Context& context) {
  const auto& flags = context.flags();
  LabelWish wish;
  wish.key = context.key();
  wish.value = flags.optional_text("to");
  wish.from = flags.optional_text("from");
  wish.overwrite = flags.flag("overwrite");
  if (wish.value.has_value() == flags.flag("remove")) {
    throw wrong_usage("say either --to VALUE or --remove");
  }
  if (wish.value) kube::check_label_value("--to", *wish.value);
  return wish;
}

cni::NodeSelection selection_from(const cli::Context& context) {
  const auto& flags = context.flags();
  cni::NodeSelection selection;
  selection.workers = flags.flag("workers");
  selection.control_plane = flags.flag("control-plane");
  int ways = (context.args().empty() ? 0 : 1) + (flags.text("selector").empty() ? 0 : 1) +
             (flags.flag("all") ? 1 : 0) + (selection.workers ? 1 : 0) +
             (selection.control_plane ? 1 : 0);
  for (const auto& argument : context.args()) {
    if (argument.find('=') != std::string::npos) {
      throw wrong_usage(
          fmt::format("\"{}\" is no node name; say the label as --to VALUE", argument));
    }
  }
  if (ways != 1) {
    throw wrong_usage(
        "say which nodes: names, or one of -l SELECTOR, --all, --workers, --control-plane");
  }
  selection.names = context.args();
  selection.label_selector = flags.text("selector");
  selection.all = flags.flag("all");
  return selection;
}

Error foreign_label(const std::string& name, const LabelWish& wish, const LabelChange& change) {
  return refused(fmt::format(
      "node/{} already has the label {}={}, which kubectl-cni did not put there; choose another "
      "key with --key, or take it over with --overwrite",
      name, wish.key, change.current));
}

/// Traps 4 and 16: whoever selects the label is Pending, or failed by its kubelet, once it is gone.
Task<> refuse_if_selected(kube::Client client, std::string key) {
  auto workloads = co_await cni::read_workloads(client, "", "");
  auto pods = co_await cni::read_pods(client, "", "");
  auto found = cni::selectors_of_key(workloads, pods, key);
  if (found.empty()) co_return;
  throw refused(fmt::format(
      "the label {} is still selected by {}; run 'kubectl cni pin --remove' first, or say --force",
      key, some_of(found)));
}

class Run {
 public:
  explicit Run(cli::Context& context)
      : context_(context), client_(context.client()), wish_(wish_from(context)) {}

  Task<> run() {
    auto selection = selection_from(context_);
    bool counts = context_.flags().given("count");
    bool whole = counts || prints_objects();
    nodes_ = co_await cni::select_nodes(client_, selection, /*metadata_only=*/!whole);
    if (counts) co_await choose();
    refuse_foreign();
    co_await cli::mend_in_passing(context_, /*makes_backups=*/false);
    if (context_.flags().flag("diff")) show_diff();
    bool removes = !wish_.value && !context_.flags().flag("force");
    if (removes && would_change()) co_await refuse_if_selected(client_, wish_.key);
    co_await label_all();
    if (nodes_.size() > 1) context_.note(summary());
    if (context_.flags().flag("wait") && context_.dry_run() == cli::DryRun::kNone) {
      co_await wait();
    }
  }

 private:
  Task<> choose() {
    auto count = cni::parse_count(context_.flags().text("count"), nodes_.size());
    auto pods = co_await cni::read_pods(client_, "", "");
    nodes_ = cni::choose_nodes(std::move(nodes_), pods, count, wish_);
  }

  void show_diff() {
    cli::Diff diff;
    for (const auto& node : nodes_) {
      auto kind = cni::plan_label(node, wish_).kind;
      bool changes = kind == LabelChange::Kind::kSet || kind == LabelChange::Kind::kRemove;
      if (changes)
        diff.add(cli::diff_name(node, "v1", "Node"), node, cni::label_patch(node, wish_));
    }
    context_.out() << diff.text() << std::flush;
  }

  bool would_change() const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const Json& node) {
      return cni::plan_label(node, wish_).kind == LabelChange::Kind::kRemove;
    });
  }

  // Nothing is touched when one of the nodes is refused.
  void refuse_foreign() const {
    for (const auto& node : nodes_) {
      auto change = cni::plan_label(node, wish_);
      if (change.kind == LabelChange::Kind::kForeign) {
        throw foreign_label(kube::name_of(node), wish_, change);
      }
    }
  }

  Task<> label_all() {
    std::vector<Task<>> tasks;
    tasks.reserve(nodes_.size());
    for (auto& node : nodes_) tasks.push_back(label_or_report(node));
    co_await all(std::move(tasks));
  }

  Task<> label_or_report(Json& node) {
    try {
      co_await label_one(node);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      context_.report(error);
    }
  }

  Task<> label_one(Json& node) {
    for (int attempt = 0;; ++attempt) {
      auto change = cni::plan_label(node, wish_);
      switch (change.kind) {
        case LabelChange::Kind::kForeign:
          throw foreign_label(kube::name_of(node), wish_, change);
        case LabelChange::Kind::kSkipped:
        case LabelChange::Kind::kUnchanged:
          print(node, "not labeled");
          co_return;
        case LabelChange::Kind::kSet:
        case LabelChange::Kind::kRemove:
          break;
      }
      bool written = co_await write(node);
      if (written) co_return;
      if (attempt >= kMaxReplans) {
        throw failed(fmt::format("node/{} is changed by somebody else all the time; try again",
                                 kube::name_of(node)));
      }
    }
  }

  // False after a conflict: somebody else changed the Node, and it has been read again.
  Task<bool> write(Json& node) {
    auto what = wish_.value ? "labeled" : "unlabeled";
    auto name = kube::name_of(node);
    Json patch = cni::label_patch(node, wish_);
    if (context_.dry_run() == cli::DryRun::kClient) {
      node.merge_patch(patch);
      print(node, what);
      co_return true;
    }
    // Strategic: the server does without a detour over JSON text, which a merge patch costs it.
    auto answer = co_await client_.patch(kube::kNodes, "", name, kube::PatchType::kStrategic,
                                         std::move(patch), /*metadata_only=*/!prints_objects());
    if (answer.conflict()) {
      auto again = co_await client_.get(kube::kNodes, "", name);
      node = kube::body_or_throw(std::move(again));
      co_return false;
    }
    node = kube::body_or_throw(std::move(answer));
    print(node, what);
    co_return true;
  }

  bool prints_objects() const {
    auto format = context_.results().format();
    return format == cli::OutputFormat::kJson || format == cli::OutputFormat::kYaml;
  }

  std::string summary() const {
    std::vector<std::string> parts;
    for (const auto& [what, count] : counts_) parts.push_back(fmt::format("{} {}", count, what));
    return "summary: " + join(parts, ", ");
  }

  void print(const Json& node, const std::string& what) {
    ++counts_[what];
    auto detail = wish_.value && what == "labeled" ? wish_.key + "=" + *wish_.value : "";
    context_.results().done(kube::kNodes, "", kube::name_of(node), what, detail, node);
  }

  // --from has left the others alone.
  std::vector<Json> those_as_wished() const {
    std::vector<Json> nodes;
    for (const auto& node : nodes_) {
      bool has = kube::has_label(node, wish_.key);
      bool wished = wish_.value ? kube::label_of(node, wish_.key) == *wish_.value : !has;
      if (wished) nodes.push_back(node);
    }
    return nodes;
  }

  // Nothing would be missing, and a script would believe that they have left.
  void warn_of_those_that_stay(const std::vector<cni::CniDaemonSet>& daemonsets) {
    for (const auto& daemonset : daemonsets) {
      if (cni::selects_key(kube::at(daemonset.object, "/spec/template/spec"), wish_.key)) continue;
      auto cni = cni::name_of(daemonset.cni);
      context_.warn(
          fmt::format("daemonset.apps/{} does not select the label {}, so its pods stay on these "
                      "nodes: 'kubectl "
                      "cni pin --cni {} --to {}' makes them follow it",
                      kube::name_of(daemonset.object), wish_.key, cni, cni));
    }
  }

  Task<> wait() {
    cni::NamedDaemonSets named = cli::named_daemonsets(context_);
    auto daemonsets = co_await cni::find_cni_daemonsets(client_, named);
    if (daemonsets.empty()) {
      context_.warn("no CNI DaemonSet was found, so there is nothing to wait for");
      co_return;
    }
    std::function<void(const std::string&)> progress = [this](const std::string& missing) {
      context_.waiting(missing);
    };
    if (wish_.value == cni::kNoneValue) warn_of_those_that_stay(daemonsets);
    co_await cni::wait_for_cni_pods(client_.until(context_.deadline()), std::move(daemonsets),
                                    those_as_wished(), progress);
  }

  cli::Context& context_;
  kube::Client client_;
  LabelWish wish_;
  std::vector<Json> nodes_;
  std::map<std::string, int> counts_;
};

}  // namespace

cli::Command label_command() {
  cli::Command command;
  command.name = "label";
  command.usage =
      "(NODE... | -l SELECTOR | --all | --workers | --control-plane) (--to VALUE | --remove)";
  command.summary = "Label nodes with the CNI that they have or shall have.";
  command.description =
      "Gives nodes the label cni=VALUE, or takes it off. CNI DaemonSets that are pinned to a "
      "value\n"
      "follow the label; --wait waits until their pods have left, or are Ready. Other pods do not\n"
      "follow: a nodeSelector is not looked at again once a pod runs. Removing is refused while\n"
      "anything still selects the label.";
  command.examples =
      "  {} --all --to flannel          # label every node\n"
      "  {} w1 --to none --wait         # flannel's pod leaves w1; wait until it has\n"
      "  {} --all --from '' --to flannel  # only nodes that have no label yet\n"
      "  {} --workers --count half --to none   # the half that is emptied first\n"
      "  {} --all --remove              # at the end\n";
  command.default_timeout = "5m";
  command.add_flags = add_flags;
  command.run = [](cli::Context& context) {
    Run run(context);
    context.loop().run(run.run());
  };
  return command;
}

}  // namespace kcni::label
