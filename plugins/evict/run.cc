// All nodes: refuse before anything is touched, cordon, empty, and say what became of them.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/base/bounded.h"
#include "common/base/text.h"
#include "common/cli/cni_flags.h"
#include "common/cli/mending.h"
#include "common/cni/cni_wait.h"
#include "common/cni/pods.h"
#include "common/cni/scheduling.h"
#include "common/cni/surge.h"
#include "common/cni/volumes.h"
#include "plugins/evict/visit.h"

namespace kcni::evict {

using cni::PodPlan;
using kube::Json;

namespace {

// More nodes than this cost less as one list of all pods than as one list each.
constexpr std::size_t kFewNodes = 8;

class Run {
 public:
  Run(cli::Context& context, Options options)
      : context_(context), client_(context.client()), options_(std::move(options)) {}

  Task<> run() {
    auto selection = cli::node_selection(context_);
    auto nodes = co_await cni::select_nodes(client_, selection, /*metadata_only=*/false);
    for (auto& node : nodes) targets_.push_back({std::move(node)});
    bool recreates = options_.rules.recreate_bare_pods && !options_.recycle;
    bool mended = co_await cli::mend_in_passing(context_, recreates);
    std::exception_ptr trouble;
    try {
      co_await read_and_work(recreates);
    } catch (const Error&) {
      trouble = std::current_exception();
    }
    co_await close();
    if (!mended && !context_.loop().interrupted()) co_await cli::mend_at_last(context_, recreates);
    if (trouble) std::rethrow_exception(trouble);
  }

 private:
  Task<> read_and_work(bool recreates) {
    if (options_.recycle) co_await read_network();
    if (options_.wait_for_cni_gone) co_await read_flannel();
    if (recreates) co_await read_nodes();
    auto plans = co_await read_plans();
    co_await find_orphans(plans);
    if (recreates) co_await read_volumes(plans);
    auto refusals = cni::refusals_of(plans);
    if (!refusals.empty()) throw refused("nothing was evicted: " + refusals);
    auto pending = cni::left_pending(plans, options_.rules, target_names());
    if (!pending.empty()) {
      context_.warn("no node takes these bare pods now, so they will be Pending until one does: " +
                    some_of(pending));
    }
    co_await work(std::move(plans));
  }

  Task<> work(std::vector<PodPlan> plans) {
    if (!options_.recycle) {
      for (auto& target : targets_) co_await cordon_or_report(target);
    }
    std::exception_ptr trouble;
    try {
      if (options_.wait_for_cni_gone) co_await wait_for_cni_gone();
      if (options_.surge) co_await surge(std::move(plans));
    } catch (const Error&) {
      trouble = std::current_exception();
    }
    if (trouble) {
      co_await tell_left();
      std::rethrow_exception(trouble);
    }
    plans = {};  // each visit looks for itself, and many pods are much memory
    std::function<Task<>(std::size_t)> make = [this](std::size_t i) { return visit(targets_[i]); };
    co_await at_most(options_.nodes_in_parallel, targets_.size(), make);
  }

  Task<> read_network() {
    network_ = co_await cni::find_flannel_network(client_);
    if (network_.ranges.empty()) {
      throw failed(
          "flannel's address range is not known: there is no ConfigMap kube-flannel-cfg with a "
          "net-conf.json");
    }
  }

  Task<> read_nodes() {
    kube::Query query;
    query.resource = &kube::kNodes;
    auto nodes = co_await client_.list(query);
    options_.rules.nodes = std::move(nodes.items);
  }

  // kubectl drain asks for each pod's DaemonSet.
  Task<> find_orphans(std::vector<PodPlan>& plans) {
    bool any = std::any_of(plans.begin(), plans.end(),
                           [](const PodPlan& plan) { return cni::of_daemonset(plan.pod); });
    if (!any || options_.recycle) co_return;
    kube::Query query;
    query.resource = &kube::kDaemonSets;
    query.metadata_only = true;
    kube::List daemonsets;
    try {
      daemonsets = co_await client_.list(query);
    } catch (const kube::ApiError& error) {
      if (error.answer().status != 403) throw;
      co_return;  // it takes no such right to leave them where they are
    }
    std::set<std::string> there;
    for (const auto& daemonset : daemonsets.items) there.insert(kube::uid_of(daemonset));
    for (auto& plan : plans) {
      if (!cni::of_daemonset(plan.pod)) continue;
      if (there.contains(kube::text_at(kube::controller_of(plan.pod), "/uid"))) continue;
      options_.rules.orphans.insert(kube::uid_of(plan.pod));
      plan = plan_pod(plan.pod, options_, network_);
    }
  }

  // Only for pods that would be made anew, for it takes two requests a volume.
  Task<> read_volumes(std::vector<PodPlan>& plans) {
    for (auto& plan : plans) {
      if (plan.fate != cni::PodFate::kRecreate) continue;
      auto specs = co_await cni::volume_affinities(client_, kube::namespace_of(plan.pod),
                                                   kube::at(plan.pod, "/spec"));
      if (specs.empty()) continue;
      options_.rules.volumes[kube::uid_of(plan.pod)] = std::move(specs);
      plan = plan_pod(plan.pod, options_, network_);
    }
  }

  // Its pods leave when the label of the node says so, or never.
  Task<> read_flannel() {
    cni::NamedDaemonSets named = cli::named_daemonsets(context_);
    auto found = co_await cni::find_cni_daemonsets(client_, named);
    bool there = std::any_of(found.begin(), found.end(), [&](const cni::CniDaemonSet& daemonset) {
      return kube::key_of(daemonset.object) == named.flannel;
    });
    if (!named.flannel.empty() && !there) {
      throw failed(fmt::format("there is no DaemonSet {} (--flannel-daemonset)", named.flannel));
    }
    for (auto& daemonset : found) {
      if (daemonset.cni != cni::Cni::kFlannel) continue;
      const Json& spec = kube::at(daemonset.object, "/spec/template/spec");
      for (const auto& target : targets_) {
        if (!cni::may_run_on(spec, target.node)) continue;
        throw refused(fmt::format(
            "flannel's pod will not leave node/{0}: daemonset.apps/{1} selects that node; label it "
            "first with 'kubectl cni label {0} --to none', or leave out --wait-for-cni-gone",
            target.name(), kube::name_of(daemonset.object)));
      }
      flannel_.push_back(std::move(daemonset));
    }
    if (!flannel_.empty()) co_return;
    bool embedded = std::any_of(targets_.begin(), targets_.end(), [](const Target& target) {
      return cni::has_flannel_annotations(target.node);
    });
    if (embedded) throw cni::embedded_flannel_error();
    context_.warn("there is no DaemonSet of flannel, so there is nothing to wait for");
  }

  Task<> wait_for_cni_gone() {
    if (context_.dry_run() != cli::DryRun::kNone) co_return;
    std::vector<Json> nodes;
    for (const auto& target : targets_) {
      if (!target.given_up) nodes.push_back(target.node);
    }
    std::function<void(const std::string&)> progress = [this](const std::string& missing) {
      context_.waiting(missing);
    };
    co_await cni::wait_for_cni_pods(client_.until(context_.deadline()), flannel_, std::move(nodes),
                                    std::move(progress));
  }

  // For who gave up before the first node's turn.
  Task<> tell_left() {
    if (context_.dry_run() != cli::DryRun::kNone) co_return;
    client_ = client_.shielded().instead_until(Deadline::after(Milliseconds(5000)));
    std::vector<PodPlan> plans;
    try {
      plans = co_await read_plans();
    } catch (const Error&) {
      co_return;  // what went wrong before matters more
    }
    for (auto& target : targets_) {
      if (target.given_up) continue;
      std::vector<std::string> left;
      for (const auto& plan : plans) {
        bool goes = plan.fate != cni::PodFate::kLeave && cni::node_of(plan.pod) == target.name();
        if (goes) left.push_back(kube::key_of(plan.pod));
      }
      if (left.empty()) continue;
      bool stays = target.cordoned_by_us && !options_.uncordon_on_failure;
      context_.note(fmt::format("node/{}{}: {} left: {}", target.name(),
                                stays ? " stays cordoned" : "", count_of(left.size(), "pod"),
                                some_of(left)));
      target.told |= stays;
    }
  }

  Task<std::vector<PodPlan>> plan_pods(std::string field_selector) {
    kube::Query query;
    query.resource = &kube::kPods;
    query.field_selector = std::move(field_selector);
    query.label_selector = options_.pod_selector;
    auto pods = co_await client_.list(query);
    std::vector<PodPlan> plans;
    for (const auto& pod : pods.items) plans.push_back(plan_pod(pod, options_, network_));
    co_return plans;
  }

  Task<std::vector<PodPlan>> read_plans() {
    std::vector<PodPlan> plans;
    if (targets_.size() > kFewNodes) {
      auto names = target_names();
      plans = co_await plan_pods("");
      std::erase_if(plans, [&](const PodPlan& p) { return !names.contains(cni::node_of(p.pod)); });
      co_return plans;
    }
    std::vector<Task<std::vector<PodPlan>>> tasks;
    for (const auto& target : targets_)
      tasks.push_back(plan_pods("spec.nodeName=" + target.name()));
    auto lists = co_await all(std::move(tasks));
    for (auto& list : lists) std::move(list.begin(), list.end(), std::back_inserter(plans));
    co_return plans;
  }

  std::set<std::string> target_names() const {
    std::set<std::string> names;
    for (const auto& target : targets_) {
      if (!target.given_up) names.insert(target.name());
    }
    return names;
  }

  // All of them before the first eviction, or what leaves one node would go to the next. Who cannot
  // be cordoned is not emptied.
  Task<> cordon_or_report(Target& target) {
    try {
      co_await cordon(context_, target);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      target.given_up = true;
      context_.report(error);
    }
  }

  Task<> surge(std::vector<PodPlan> plans) {
    cni::SurgeOptions options;
    options.nodes = target_names();
    options.tries = context_.dry_run() != cli::DryRun::kNone;
    options.read_only = context_.dry_run() == cli::DryRun::kClient;
    options.deadline = context_.deadline();
    options.timeout_text = context_.timeout_text();
    options.note = [this](const std::string& line) { context_.note(line); };
    options.warn = [this](const std::string& line) { context_.warn(line); };
    options.waiting = [this](const std::string& line) { context_.waiting(line); };
    options.done = [this](const cni::Workload& deployment) {
      context_.results().done(*deployment.resource, kube::namespace_of(deployment.object),
                              kube::name_of(deployment.object), "restarted", "", deployment.object);
    };
    std::vector<Json> pods;
    for (auto& plan : plans) {
      bool goes =
          plan.fate == cni::PodFate::kEvict && options.nodes.contains(cni::node_of(plan.pod));
      if (goes) pods.push_back(std::move(plan.pod));
    }
    options.report = [this](const Error& error) { context_.report(error); };
    surged_ = co_await cni::surge(client_, std::move(pods), std::move(options));
  }

  Task<> visit(Target& target) {
    if (target.given_up) co_return;
    target.begun = true;
    try {
      Visit its(context_, options_, network_, surged_, target);
      co_await its.run();
      target.done = true;
      if (options_.uncordon && !options_.recycle) co_await uncordon(context_, target);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      context_.report(error);
    }
  }

  // Nobody shall have to guess which nodes take no pods now.
  Task<> close() {
    for (auto& target : targets_) {
      if (target.done || !target.cordoned_by_us || context_.dry_run() != cli::DryRun::kNone) {
        continue;
      }
      if (!options_.uncordon_on_failure) {
        if (!target.told) {
          context_.note(fmt::format("node/{} stays cordoned{}", target.name(),
                                    target.begun ? "" : ": its turn had not come"));
        }
        continue;
      }
      try {
        co_await uncordon(context_, target);
      } catch (const Error& error) {
        context_.report(error);
      }
    }
  }

  cli::Context& context_;
  kube::Client client_;
  Options options_;
  cni::FlannelNetwork network_;
  std::vector<cni::CniDaemonSet> flannel_;
  std::vector<Target> targets_;
  cni::Surged surged_;
};

}  // namespace

Task<> run(cli::Context& context, Options options) {
  Run it(context, std::move(options));
  co_await it.run();
}

}  // namespace kcni::evict
