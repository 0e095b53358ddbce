// Pods that no template of a workload reaches.
#include "common/cni/pods.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "common/base/text.h"
#include "common/cli/mending.h"
#include "common/cni/evictor.h"
#include "common/cni/managed.h"
#include "common/cni/names.h"
#include "common/cni/neighbourhood.h"
#include "common/cni/pods_recreate.h"
#include "common/cni/scheduling.h"
#include "plugins/pin/pin.h"

namespace kcni::pin {

using cni::Neighbourhood;
using cni::Workload;
using kube::Json;

namespace {

constexpr int kMaxTries = 5;

bool gated(const Json& pod) {
  const Json& gates = kube::at(pod, "/spec/schedulingGates");
  return gates.is_array() && !gates.empty();
}

std::string pin_of(const Json& pod, const std::string& key) {
  return cni::selected_value(kube::at(pod, "/spec"), key);
}

class Pods {
 public:
  Pods(cli::Context& context, const Scope& scope)
      : context_(context),
        client_(context.client()),
        scope_(scope),
        wish_(scope.wish),
        tracker_(client_, all_pods()),
        evictor_(client_, tracker_, options()) {}

  Task<> treat() {
    auto here = co_await Neighbourhood::read(client_, scope_.ns);
    auto selected = co_await selected_uids();
    if (scope_.whole || selected) {
      for (const auto& pod : here.pods()) {
        if (!selected || selected->contains(kube::uid_of(pod))) sort(pod, here);
      }
    }
    find_standalone(here);
    find_left_behind(here);
    if (recreates() || context_.flags().flag("evict")) tracker_.start();
    std::vector<Task<>> tasks;
    for (const auto* pod : gated_) tasks.push_back(reported(pin_gated(*pod)));
    for (const auto* pod : bare_) {
      if (recreates()) tasks.push_back(reported(recreate(*pod)));
    }
    for (const auto* pod : movable_) {
      if (context_.flags().flag("evict")) tasks.push_back(reported(evict(*pod)));
    }
    co_await all(std::move(tasks));
    if (!recreates()) name_bare();
    if (!context_.flags().flag("evict")) name_movable();
    name("its user chose the node of these pods, so they are left alone: {}", chosen_);
    name(
        "no node with the label suits these bare pods, by their nodeSelector or affinity, so they "
        "are left alone: {}",
        unfit_);
    name(
        "these pods are on the host network and need no CNI (--include-host-network pins them): {}",
        on_host_);
    name("static pods belong to their kubelet and are left alone: {}", static_);
    name("a controller that is none of Kubernetes' own makes these pods, so it must pin them: {}",
         custom_);
    name(
        "--recreate-bare-pods leaves these alone, for the data of their emptyDir volumes would be "
        "lost (--delete-emptydir-data accepts that): {}",
        keeping_data_);
    name(
        "a nodeSelector may be added to a scheduling-gated pod, but not taken off, so delete "
        "these yourself: {}",
        stuck_);
  }

 private:
  kube::Query all_pods() const {
    kube::Query query;
    query.resource = &kube::kPods;
    query.ns = scope_.ns;
    return query;
  }

  cni::EvictorOptions options() {
    cni::EvictorOptions options;
    options.deadline = context_.deadline();
    options.timeout_text = context_.timeout_text();
    options.key = wish_.key;
    options.note = [this](const std::string& line) { context_.note(line); };
    options.notice = [this](const char*, const Json&, const std::string& line) {
      context_.note(line);
    };
    return options;
  }

  bool as_wished(const Json& pod) const {
    return wish_.value ? pin_of(pod, wish_.key) == *wish_.value : !ours(pod);
  }

  bool ours(const Json& pod) const {
    return kube::annotation_of(pod, cni::kPinnedAnnotation) == wish_.key &&
           !pin_of(pod, wish_.key).empty();
  }

  // With -l: the pods that have these labels; only the server can read its selector.
  Task<std::optional<std::set<std::string>>> selected_uids() {
    auto query = all_pods();
    query.label_selector = context_.flags().text("selector");
    query.metadata_only = true;
    if (query.label_selector.empty()) co_return std::nullopt;
    auto pods = co_await client_.list(query);
    std::set<std::string> uids;
    for (const auto& pod : pods.items) uids.insert(kube::uid_of(pod));
    co_return uids;
  }

  bool fits_somewhere(const Json& pod, const Neighbourhood& here) const {
    if (!wish_.value || wish_.force) return true;
    Json spec = kube::at(pod, "/spec");
    spec["nodeSelector"][wish_.key] = *wish_.value;
    return std::any_of(here.nodes().begin(), here.nodes().end(),
                       [&](const Json& node) { return cni::may_run_on(spec, node); });
  }

  void sort_bare(const Json& pod, bool foreign, const Neighbourhood& here) {
    bool loses = cni::has_empty_dir(pod) && !context_.flags().flag("delete-emptydir-data");
    auto& list = cni::node_chosen_by_user(pod) || foreign ? chosen_
                 : !fits_somewhere(pod, here)             ? unfit_
                 : loses && recreates()                   ? keeping_data_
                                                          : bare_;
    list.push_back(&pod);
  }

  bool recreates() const { return context_.flags().flag("recreate-bare-pods"); }

  void sort(const Json& pod, const Neighbourhood& here) {
    bool excluded = !in_one_namespace(context_) && excluded_by_default(kube::namespace_of(pod));
    if (excluded || cni::finished(pod) || kube::terminating(pod)) return;
    if (as_wished(pod)) return;
    if (cni::is_mirror(pod)) {
      if (wish_.value) static_.push_back(&pod);
      return;
    }
    bool bare = cni::is_bare(pod);
    if (cni::on_host_network(pod) && !wish_.include_host_network) {
      if (wish_.value && bare) on_host_.push_back(&pod);
      return;
    }
    if (wish_.value && !bare && cni::has_custom_owner(pod)) custom_.push_back(&pod);
    bool foreign = !pin_of(pod, wish_.key).empty() && !ours(pod);
    if (gated(pod) && cni::node_of(pod).empty() && !cni::of_daemonset(pod)) {
      bool addable = wish_.value && pin_of(pod, wish_.key).empty();
      (addable ? gated_ : wish_.value && foreign ? chosen_ : stuck_).push_back(&pod);
    } else if (bare) {
      sort_bare(pod, foreign, here);
    }
  }

  // Unpinned in place: who was born with the pin has it still.
  void find_left_behind(const Neighbourhood& here) {
    if (wish_.value) return;
    for (const auto& workload : scope_.workloads) {
      if (workload.resource != &kube::kDeployments) continue;
      if (cni::plan_pin(workload, wish_).kind != cni::PinChange::Kind::kUnchanged) continue;
      auto around = here.around(workload);
      auto left = cni::pods_left_behind(workload, wish_.key, around);
      movable_.insert(movable_.end(), left.begin(), left.end());
    }
  }

  // Their template changes no pod that exists.
  void find_standalone(const Neighbourhood& here) {
    for (const auto& workload : scope_.workloads) {
      bool standalone = workload.resource == &kube::kReplicaSets ||
                        workload.resource == &kube::kReplicationControllers;
      if (!standalone || !kube::controller_of(workload.object).is_null()) continue;
      auto kind = cni::plan_pin(workload, wish_).kind;
      bool restored = !wish_.value && kind == cni::PinChange::Kind::kSkipped;
      if (kind != cni::PinChange::Kind::kUnchanged && !restored) continue;
      auto around = here.around(workload);
      for (const auto* pod : around.pods) {
        if (must_move(*pod, workload, around)) movable_.push_back(pod);
      }
    }
  }

  bool must_move(const Json& pod, const Workload& workload, const cni::Surroundings& around) const {
    if (!wish_.value) {
      return pin_of(pod, wish_.key) != cni::selected_value(cni::pod_spec_of(workload), wish_.key);
    }
    auto name = cni::node_of(pod);
    if (name.empty()) return false;
    return std::none_of(around.nodes.begin(), around.nodes.end(), [&](const Json* node) {
      return kube::name_of(*node) == name && cni::may_run_on(cni::pod_spec_of(workload), *node);
    });
  }

  Task<> reported(Task<> task) {
    try {
      co_await task;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      context_.report(error);
    }
  }

  void print(const Json& pod, const std::string& what) {
    auto detail = wish_.value && what != "evicted" ? wish_.key + "=" + *wish_.value : "";
    context_.results().done(kube::kPods, kube::namespace_of(pod), kube::name_of(pod), what, detail,
                            pod);
  }

  Task<> pin_gated(const Json& pod) {
    if (context_.dry_run() != cli::DryRun::kClient) {
      // By UID, not by resourceVersion: it may be sent again however often others write its status.
      Json patch = {{"metadata", {{"annotations", {{cni::kPinnedAnnotation, wish_.key}}}}}};
      patch["metadata"]["uid"] = kube::uid_of(pod);
      patch["spec"]["nodeSelector"][wish_.key] = *wish_.value;
      kube::Answer answer;
      for (int attempt = 0; attempt < kMaxTries; ++attempt) {
        answer = co_await client_.patch(kube::kPods, kube::namespace_of(pod), kube::name_of(pod),
                                        kube::PatchType::kMerge, patch);
        if (!answer.conflict()) break;
      }
      kube::body_or_throw(std::move(answer));
    }
    print(pod, "pinned");
  }

  Task<> recreate(const Json& pod) {
    Json made = co_await evictor_.recreate(pod, wish_.value);
    if (!made.is_null()) print(made, "recreated");
  }

  Task<> evict(const Json& pod) {
    co_await evictor_.evict(pod);
    print(pod, "evicted");
  }

  void name(const char* text, const std::vector<const Json*>& pods) {
    if (pods.empty()) return;
    std::vector<std::string> names;
    for (const auto* pod : pods) names.push_back(cni::place_of(*pod));
    context_.warn(fmt::format(fmt::runtime(text), some_of(names)));
  }

  void name_bare() {
    name(wish_.value
             ? "not pinned, since the nodeSelector of a pod that exists cannot be changed: {}; "
               "--recreate-bare-pods does it by making them anew"
             : "still pinned, since the nodeSelector of a pod that exists cannot be changed: {}; "
               "--recreate-bare-pods makes them anew without it",
         bare_);
  }

  void name_movable() {
    name(wish_.value
             ? "the template of a ReplicaSet moves no pod: {} must be evicted to go to the "
               "nodes of the pin (--evict does so)"
             : "the template of a ReplicaSet changes no pod: {} keep the pin until they are "
               "evicted (--evict does so)",
         movable_);
  }

  cli::Context& context_;
  kube::Client client_;
  const Scope& scope_;
  const cni::PinWish& wish_;
  kube::Tracker tracker_;
  cni::Evictor evictor_;
  std::vector<const Json*> gated_, bare_, chosen_, stuck_, movable_;
  std::vector<const Json*> unfit_, on_host_, static_, custom_, keeping_data_;
};

}  // namespace

Task<> treat_pods(cli::Context& context, const Scope& scope) {
  Pods pods(context, scope);
  co_await pods.treat();
}

}  // namespace kcni::pin
