#include "plugins/evict/evict.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/cli/cni_flags.h"
#include "common/cli/mending.h"
#include "common/cni/pods.h"
#include "common/cni/workloads.h"

namespace kcni::evict {

using cni::PodFate;
using cni::PodPlan;
using kube::Json;

namespace {

constexpr int kMaxReplans = 5;
constexpr int kMaxRounds = 5;
// More nodes than this cost less as one list of all pods than as one list each.
constexpr std::size_t kFewNodes = 8;

void add_flags(cxxopts::OptionAdder& add) {
  cli::add_selection_flags(add);
  add("delete-emptydir-data", "Go on although data in emptyDir volumes will be lost",
      cxxopts::value<bool>());
  add("force", "Delete pods that no controller would make anew, for good", cxxopts::value<bool>());
  add("recreate-bare-pods", "Back such pods up, and make them anew on another node",
      cxxopts::value<bool>());
  add("ignore-daemonsets", "Always on: DaemonSets' pods stay", cxxopts::value<bool>());
  add("disable-eviction", "Delete instead of evicting: budgets are not honoured",
      cxxopts::value<bool>());
  add("grace-period", "Seconds given to a pod to end; -1: its own",
      cxxopts::value<std::string>()->default_value("-1"), "SECONDS");
  add("pod-selector", "Only pods with these labels", cxxopts::value<std::string>(), "SELECTOR");
  add("recycle",
      "Do not cordon; restart just the pods that still hold an address of flannel's range, "
      "DaemonSets' included",
      cxxopts::value<bool>());
  cli::add_daemonset_flags(add);
}

Options options_from(const cli::Context& context) {
  const auto& flags = context.flags();
  Options options;
  options.rules.delete_emptydir_data = flags.flag("delete-emptydir-data");
  options.rules.force = flags.flag("force");
  options.rules.recreate_bare_pods = flags.flag("recreate-bare-pods");
  options.recycle = flags.flag("recycle");
  options.disable_eviction = flags.flag("disable-eviction");
  int grace = flags.number("grace-period", -1);
  if (grace >= 0) options.grace_period = grace;
  options.pod_selector = flags.text("pod-selector");
  options.key = context.key();
  return options;
}

class Run {
 public:
  explicit Run(cli::Context& context)
      : context_(context), client_(context.client()), options_(options_from(context)) {}

  Task<> run() {
    auto selection = cli::node_selection(context_);
    auto nodes = co_await cni::select_nodes(client_, selection, /*metadata_only=*/false);
    co_await cli::mend_and_tell(context_, client_.until(context_.deadline()));
    if (options_.recycle) co_await read_network();
    co_await refuse_before_touching(nodes);
    for (auto& node : nodes) co_await empty_or_report(node);
  }

 private:
  Task<> read_network() {
    network_ = co_await cni::find_flannel_network(client_);
    if (network_.ranges.empty()) {
      throw failed(
          "flannel's address range is not known: there is no ConfigMap kube-flannel-cfg with a "
          "net-conf.json");
    }
  }

  PodPlan plan(const Json& pod) const {
    return options_.recycle ? cni::plan_recycling(pod, options_.rules, network_)
                            : cni::plan_eviction(pod, options_.rules);
  }

  Task<std::vector<PodPlan>> plan_pods(std::string field_selector) {
    kube::Query query;
    query.resource = &kube::kPods;
    query.field_selector = std::move(field_selector);
    query.label_selector = options_.pod_selector;
    auto pods = co_await client_.list(query);
    std::vector<PodPlan> plans;
    for (const auto& pod : pods.items) plans.push_back(plan(pod));
    co_return plans;
  }

  // As kubectl drain does: all refusals of all nodes at once, before the first cordon.
  Task<> refuse_before_touching(const std::vector<Json>& nodes) {
    std::vector<PodPlan> plans;
    if (nodes.size() > kFewNodes) {
      std::set<std::string> names;
      for (const auto& node : nodes) names.insert(kube::name_of(node));
      plans = co_await plan_pods("");
      std::erase_if(plans, [&](const PodPlan& p) { return !names.contains(cni::node_of(p.pod)); });
    } else {
      std::vector<Task<std::vector<PodPlan>>> tasks;
      for (const auto& node : nodes)
        tasks.push_back(plan_pods("spec.nodeName=" + kube::name_of(node)));
      auto lists = co_await all(std::move(tasks));
      for (auto& list : lists) std::move(list.begin(), list.end(), std::back_inserter(plans));
    }
    auto refusals = cni::refusals_of(plans);
    if (!refusals.empty()) throw refused("nothing was evicted: " + refusals);
  }

  Task<> empty_or_report(Json& node) {
    try {
      co_await empty(node);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      context_.report(error);
    }
  }

  Task<> empty(Json& node) {
    auto name = kube::name_of(node);
    if (!options_.recycle) co_await cordon(node);
    kube::Query here;
    here.resource = &kube::kPods;
    here.field_selector = "spec.nodeName=" + name;
    here.label_selector = options_.pod_selector;
    kube::Tracker tracker(client_, here);
    tracker.start();
    std::vector<PodPlan> plans;
    auto pods = co_await tracker.first_look(context_.deadline());
    for (const auto& [key, pod] : pods) plans.push_back(plan(pod));
    tell_ignored(plans);
    for (int round = 0; take_movable(name, plans); ++round) {
      if (round == kMaxRounds) {
        throw blocked(fmt::format("node/{}{}: pods keep coming to it: {}", name, state(),
                                  kube::key_of(plans[0].pod)));
      }
      co_await move_all(name, std::move(plans), tracker);
      plans.clear();
      if (context_.dry_run() != cli::DryRun::kNone) break;
      // What the scheduler bound before it saw the cordon came after the first look.
      auto now = co_await tracker.first_look(context_.deadline());
      for (const auto& [key, pod] : now) plans.push_back(plan(pod));
    }
    auto what = options_.recycle ? "recycled" : "drained";
    context_.results().done(kube::kNodes, "", name, what, "", node);
  }

  // Leaves those that have to go; false when there are none. Throws Error (kRefused).
  bool take_movable(const std::string& node, std::vector<PodPlan>& plans) const {
    auto refusals = cni::refusals_of(plans);
    if (!refusals.empty()) throw refused(fmt::format("node/{}{}: {}", node, state(), refusals));
    std::erase_if(plans, [](const PodPlan& p) { return p.fate == PodFate::kLeave; });
    return !plans.empty();
  }

  std::string state() const { return options_.recycle ? "" : " is cordoned now"; }

  // kubectl drain prints a failed cordon and goes on; here an unverified cordon ends the node's
  // turn, since evicted pods could come straight back.
  Task<> cordon(Json& node) {
    auto name = kube::name_of(node);
    for (int attempt = 0; !cni::is_cordoned(node); ++attempt) {
      if (context_.dry_run() == cli::DryRun::kClient) break;
      Json patch = {
          {"metadata", {{"resourceVersion", kube::text_at(node, "/metadata/resourceVersion")}}},
          {"spec", {{"unschedulable", true}}}};
      auto answer = co_await client_.patch(kube::kNodes, "", name, kube::PatchType::kMerge, patch);
      if (answer.conflict() && attempt < kMaxReplans) {
        auto again = co_await client_.get(kube::kNodes, "", name);
        node = kube::body_or_throw(std::move(again));
        continue;
      }
      node = kube::body_or_throw(std::move(answer));
      if (!cni::is_cordoned(node)) throw failed(fmt::format("node/{} did not stay cordoned", name));
      context_.results().done(kube::kNodes, "", name, "cordoned", "", node);
      co_return;
    }
    auto what = cni::is_cordoned(node) ? "already cordoned" : "cordoned";
    context_.results().done(kube::kNodes, "", name, what, "", node);
  }

  void tell_ignored(const std::vector<PodPlan>& plans) {
    std::vector<std::string> names;
    for (const auto& p : plans) {
      bool ignored = p.fate == PodFate::kLeave && cni::of_daemonset(p.pod) && !options_.recycle;
      if (ignored) names.push_back(kube::key_of(p.pod));
    }
    if (!names.empty()) context_.note("ignoring DaemonSet-managed pods: " + some_of(names));
  }

  Task<> move_all(std::string node, std::vector<PodPlan> plans, kube::Tracker& tracker) {
    PodMover mover(context_, options_, tracker);
    std::vector<std::string> left;
    std::vector<Task<>> tasks;
    for (const auto& p : plans) tasks.push_back(move_or_report(mover, p, left));
    bool interrupted = false;
    try {
      co_await all(std::move(tasks));
    } catch (const Interrupted&) {
      interrupted = true;
    }
    if (left.empty()) co_return;
    auto message =
        fmt::format("node/{}{}: {} of {} left: {}", node, options_.recycle ? "" : " stays cordoned",
                    left.size(), count_of(plans.size(), "pod"), some_of(left));
    if (!interrupted) throw failed_or_blocked(message);
    context_.note("interrupted: " + message);
    throw Interrupted();
  }

  // The pods' own errors were reported and decide the exit code; this line adds the node's state.
  Error failed_or_blocked(const std::string& message) const {
    auto code = static_cast<ExitStatus>(context_.exit_code());
    return {code == ExitStatus::kDone ? ExitStatus::kFailed : code, message};
  }

  Task<> move_or_report(PodMover& mover, PodPlan p, std::vector<std::string>& left) {
    auto key = kube::key_of(p.pod);
    try {
      co_await mover.move(std::move(p));
      co_return;
    } catch (const Interrupted&) {
      left.push_back(key);
      throw;
    } catch (const Error& error) {
      context_.report(error);
    }
    left.push_back(key);
  }

  cli::Context& context_;
  kube::Client client_;
  Options options_;
  cni::FlannelNetwork network_;
};

}  // namespace

cli::Command evict_command() {
  cli::Command command;
  command.name = "evict";
  command.usage = "(NODE... | -l SELECTOR | --all)";
  command.summary = "Cordon nodes and evict their pods, losing none.";
  command.description =
      "As kubectl drain: cordons, evicts through the eviction API so that PodDisruptionBudgets "
      "are\n"
      "honoured, and waits until the pods are gone. Unlike it, it goes on only when the cordon "
      "holds,\n"
      "knows a pod by its UID, names the budget that blocks (exit code 3), and can move pods that "
      "no\n"
      "controller would make anew. A pod that no rule covers is refused before anything is "
      "touched.";
  command.examples =
      "  {} w1                          # cordon w1 and evict its pods\n"
      "  {} w1 --recreate-bare-pods     # bare pods are made anew elsewhere\n"
      "  {} --all --dry-run             # what would happen, and what would be refused\n"
      "  {} w1 --recycle                # after Cilium came: restart what has an old address\n";
  command.default_timeout = "0";
  command.add_flags = add_flags;
  command.run = [](cli::Context& context) {
    Run run(context);
    context.loop().run(run.run());
  };
  return command;
}

}  // namespace kcni::evict
