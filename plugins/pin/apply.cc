#include <fmt/format.h>

#include "common/base/text.h"
#include "common/cni/names.h"
#include "common/cni/pods.h"
#include "common/cni/rollout.h"
#include "common/cni/scheduling.h"
#include "plugins/pin/pin.h"

namespace kcni::pin {

using cni::PinChange;
using cni::PinWish;
using cni::Workload;
using kube::Json;
using Kind = PinChange::Kind;

namespace {

constexpr int kMaxReplans = 5;

// Trap 21: a CNI that is pinned before the nodes are labelled leaves every node at once.
Task<> refuse_if_nodes_lose_it(kube::Client client, const Workload& workload, const PinWish& wish) {
  auto pods = co_await cni::read_pods(client, kube::namespace_of(workload.object), "");
  kube::Query query;
  query.resource = &kube::kNodes;
  query.metadata_only = true;
  auto nodes = co_await client.list(query);
  Json spec = cni::pod_spec_of(workload);
  spec["nodeSelector"][wish.key] = *wish.value;
  std::vector<std::string> losers;
  for (const auto& node : nodes.items) {
    bool runs = std::any_of(pods.begin(), pods.end(), [&](const Json& pod) {
      return cni::owned_by(pod, kube::uid_of(workload.object)) &&
             cni::node_of(pod) == kube::name_of(node);
    });
    if (runs && !cni::may_run_on(spec, node)) losers.push_back("node/" + kube::name_of(node));
  }
  if (losers.empty()) co_return;
  throw refused(fmt::format(
      "pinning {} to {}={} would take it from {} at once; label the nodes first with 'kubectl cni "
      "label --all --to {}', or say --force",
      workload.place(), wish.key, *wish.value, some_of(losers), *wish.value));
}

class Pinner {
 public:
  Pinner(cli::Context& context, const PinWish& wish)
      : context_(context), client_(context.client()), wish_(wish) {}

  Task<> pin_or_report(Workload& workload) {
    try {
      co_await pin(workload);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      context_.report(error);
    }
  }

 private:
  Task<> pin(Workload& workload) {
    for (int attempt = 0;; ++attempt) {
      auto change = cni::plan_pin(workload, wish_);
      if (!wants_write(workload, change)) co_return;
      if (wish_.cni_itself && wish_.value && !wish_.force) {
        co_await refuse_if_nodes_lose_it(client_, workload, wish_);
      }
      bool written = co_await write(workload);
      if (written) co_return;
      if (attempt >= kMaxReplans) {
        throw failed(workload.place() + " is changed by somebody else all the time; try again");
      }
    }
  }

  bool wants_write(const Workload& workload, const PinChange& change) {
    switch (change.kind) {
      case Kind::kSet:
      case Kind::kRemove:
        return true;
      case Kind::kUnchanged:
        print(workload, "unchanged");
        break;
      case Kind::kSkipped:
        context_.warn(change.reason);
        break;
      case Kind::kRefused:
        throw refused(change.reason);
      case Kind::kOutOfScope:
        break;
    }
    return false;
  }

  // False after a conflict: somebody else changed the object, and it has been read again.
  Task<bool> write(Workload& workload) {
    if (context_.dry_run() == cli::DryRun::kClient) {
      print(workload, wish_.value ? "pinned" : "unpinned");
      co_return true;
    }
    auto ns = kube::namespace_of(workload.object);
    auto name = kube::name_of(workload.object);
    Json patch = cni::pin_patch(workload, wish_);
    auto answer = co_await client_.patch(*workload.resource, ns, name, kube::PatchType::kMerge,
                                         std::move(patch));
    if (answer.conflict()) {
      auto again = co_await client_.get(*workload.resource, ns, name);
      workload.object = kube::body_or_throw(std::move(again));
      co_return false;
    }
    workload.object = kube::body_or_throw(std::move(answer));
    print(workload, wish_.value ? "pinned" : "unpinned");
    if (cni::has_custom_owner(workload.object)) {
      const Json& owner = kube::controller_of(workload.object);
      context_.warn(fmt::format("{} belongs to {} {}, which may put this back", workload.place(),
                                kube::text_at(owner, "/kind"), kube::text_at(owner, "/name")));
    }
    co_return true;
  }

  void print(const Workload& workload, const std::string& what) {
    auto detail = what == "pinned" ? wish_.key + "=" + *wish_.value : "";
    context_.results().done(*workload.resource, kube::namespace_of(workload.object),
                            kube::name_of(workload.object), what, detail, workload.object);
  }

  cli::Context& context_;
  kube::Client client_;
  const PinWish& wish_;
};

Task<> name_bare_pods(cli::Context& context) {
  const auto& config = context.config();
  bool one = in_one_namespace(context);
  std::string ns = one ? config.namespace_ : "";
  auto pods = co_await cni::read_pods(context.client(), ns, "");
  std::vector<std::string> names;
  for (const auto& pod : pods) {
    auto its_ns = kube::namespace_of(pod);
    bool excluded = !one && excluded_by_default(its_ns);
    if (excluded || !cni::is_bare(pod) || cni::finished(pod) || cni::on_host_network(pod)) continue;
    names.push_back("pod/" + kube::name_of(pod) + " in namespace " + its_ns);
  }
  if (names.empty()) co_return;
  context.warn(fmt::format(
      "not pinned, since the nodeSelector of a pod that exists cannot be changed: {}; 'kubectl cni "
      "evict --recreate-bare-pods' moves them",
      some_of(names)));
}

// Also those that an earlier, interrupted run had patched are waited for; what was broken before
// the migration is not: it would never come.
void leave_those_to_wait_for(cli::Context& context, Scope& scope) {
  std::vector<std::string> broken;
  std::erase_if(scope.workloads, [&](const Workload& workload) {
    if (cni::plan_pin(workload, scope.wish).kind != Kind::kUnchanged) return true;
    const Json& annotations = kube::at(workload.object, "/metadata/annotations");
    if (!annotations.contains(cni::kNotReadyBeforeAnnotation)) return false;
    broken.push_back(workload.place());
    return true;
  });
  if (broken.empty()) return;
  context.warn(fmt::format("not waited for, since not ready before the migration either: {}",
                           some_of(broken)));
}

}  // namespace

Task<> apply(cli::Context& context, Scope scope) {
  Pinner pinner(context, scope.wish);
  std::vector<Task<>> tasks;
  for (auto& workload : scope.workloads) tasks.push_back(pinner.pin_or_report(workload));
  co_await all(std::move(tasks));
  bool whole = !scope.wish.named && !scope.wish.cni_itself && scope.wish.value &&
               context.flags().text("selector").empty();
  if (whole) co_await name_bare_pods(context);
  if (!context.flags().flag("wait") || context.dry_run() != cli::DryRun::kNone) co_return;
  leave_those_to_wait_for(context, scope);
  std::function<void(const std::string&)> progress = [&context](const std::string& missing) {
    context.waiting(missing);
  };
  co_await cni::wait_for_rollouts(context.client().until(context.deadline()),
                                  std::move(scope.workloads), progress);
}

}  // namespace kcni::pin
