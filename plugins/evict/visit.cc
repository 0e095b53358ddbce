#include "plugins/evict/visit.h"

#include <fmt/format.h>

#include "common/base/text.h"
#include "common/cni/pods.h"
#include "common/cni/scheduling.h"

namespace kcni::evict {

using cni::PodFate;
using cni::PodPlan;
using kube::Json;

namespace {

constexpr int kMaxRounds = 5;

}  // namespace

PodPlan plan_pod(const Json& pod, const Options& options, const cni::FlannelNetwork& network) {
  return options.recycle ? cni::plan_recycling(pod, options.rules, network)
                         : cni::plan_eviction(pod, options.rules);
}

Task<> Visit::run() {
  kube::Query here;
  here.resource = &kube::kPods;
  here.field_selector = "spec.nodeName=" + target_.name();
  here.label_selector = options_.pod_selector;
  kube::Tracker tracker(client_, here);
  tracker.start();
  co_await empty(tracker);
  if (options_.wait_for_replacements) co_await wait_for_replacements();
  context_.live().drop(target_.name());
  context_.results().done(kube::kNodes, "", target_.name(),
                          options_.recycle ? "recycled" : "drained", "", target_.node);
}

Task<> Visit::empty(kube::Tracker& tracker) {
  auto plans = co_await plans_now(tracker);
  tell_ignored(plans);
  for (int round = 0; take_movable(plans, round); ++round) {
    if (round == kMaxRounds) {
      throw blocked(fmt::format("node/{}{}: pods keep coming to it: {}", target_.name(),
                                state("is"), kube::key_of(plans[0].pod)));
    }
    bool cordons = !options_.recycle && context_.dry_run() == cli::DryRun::kNone;
    if (cordons) co_await check_cordon(context_, target_);
    co_await move_all(std::move(plans), tracker);
    plans.clear();
    if (context_.dry_run() != cli::DryRun::kNone) break;
    // What the scheduler bound before it saw the cordon came after the first look.
    plans = co_await plans_now(tracker);
  }
}

Task<std::vector<PodPlan>> Visit::plans_now(kube::Tracker& tracker) {
  auto pods = co_await tracker.first_look(context_.deadline());
  std::vector<PodPlan> plans;
  for (const auto& [key, pod] : pods) plans.push_back(plan_pod(pod, options_, network_));
  co_return plans;
}

// Leaves those that have to go; false when there are none. Throws Error: kRefused, or kBlocked when
// there are only those left that would come back once more.
bool Visit::take_movable(std::vector<PodPlan>& plans, int round) const {
  auto refusals = cni::refusals_of(plans);
  if (!refusals.empty()) {
    throw refused(fmt::format("node/{}{}: {}", target_.name(), state("is"), refusals));
  }
  bool again = round > 0 && !options_.recycle;
  std::vector<std::string> back;
  std::erase_if(plans, [&](const PodPlan& plan) {
    if (plan.fate == PodFate::kLeave || surged_.moved.contains(kube::uid_of(plan.pod))) return true;
    if (again && plan.fate == PodFate::kDelete) return true;  // a DaemonSet's next pod
    bool tolerates =
        plan.fate == PodFate::kEvict && !cni::kept_off_by_cordon(kube::at(plan.pod, "/spec"));
    if (!again || !tolerates) return false;
    back.push_back(kube::key_of(plan.pod));
    return true;
  });
  if (plans.empty() && !back.empty()) {
    throw blocked(fmt::format("node/{}{}: pods keep coming to it: {} (they tolerate the cordon)",
                              target_.name(), state("is"), some_of(back)));
  }
  return !plans.empty();
}

// " is cordoned now", for messages about a node that could not be emptied.
std::string Visit::state(const char* word) const {
  if (options_.recycle || context_.dry_run() != cli::DryRun::kNone) return "";
  if (options_.uncordon_on_failure && target_.cordoned_by_us) return "";
  target_.told = true;
  return fmt::format(" {} cordoned", word);
}

void Visit::tell_ignored(const std::vector<PodPlan>& plans) {
  std::vector<std::string> names, deleted;
  for (const auto& plan : plans) {
    if (plan.fate != PodFate::kLeave || options_.recycle) continue;
    if (cni::of_daemonset(plan.pod)) {
      names.push_back(kube::key_of(plan.pod));
    } else if (kube::terminating(plan.pod)) {
      deleted.push_back(kube::key_of(plan.pod));
    }
  }
  if (!names.empty()) context_.note("ignoring DaemonSet-managed pods: " + some_of(names));
  if (deleted.empty()) return;
  context_.note(
      fmt::format("not waiting for pods that have been in deletion for more than {} s: {}",
                  options_.rules.skip_after.count(), some_of(deleted)));
}

// On a terminal one line a node, which changes; elsewhere a line each.
void Visit::tell(const std::string& line) {
  if (!context_.live().on_terminal()) {
    context_.note(line);
    return;
  }
  context_.live().set(target_.name(), fmt::format("node/{} {} pods  {}", target_.name(),
                                                  cli::bar(moved_, to_move_), line));
}

void Visit::tell_of_next() {
  if (!context_.live().on_terminal() || on_their_way_.empty()) return;
  tell("waiting for " + *on_their_way_.begin());
}

Task<> Visit::move_all(std::vector<PodPlan> plans, kube::Tracker& tracker) {
  PodMover mover(context_, options_, tracker, [this](const std::string& line) { tell(line); });
  std::size_t count = plans.size();
  to_move_ = moved_ + count;
  std::vector<std::string> left;
  std::vector<Task<>> tasks;
  for (auto& plan : plans) tasks.push_back(move_or_report(mover, std::move(plan), left));
  plans.clear();
  bool interrupted = false;
  try {
    co_await all(std::move(tasks));
  } catch (const Interrupted&) {
    interrupted = true;
  }
  interrupted |= context_.loop().interrupted();
  if (left.empty() && interrupted) throw Interrupted();
  if (left.empty()) co_return;
  context_.live().drop(target_.name());
  auto message = fmt::format("node/{}{}: {} of {} left: {}", target_.name(), state("stays"),
                             left.size(), count_of(count, "pod"), some_of(left));
  if (!interrupted) throw failed_or_blocked(message);
  context_.note("interrupted: " + message);
  throw Interrupted();
}

// The pods' own errors were reported and decide the exit code; this line adds the node's state.
Error Visit::failed_or_blocked(const std::string& message) const {
  auto code = static_cast<ExitStatus>(context_.exit_code());
  return {code == ExitStatus::kDone ? ExitStatus::kFailed : code, message};
}

Task<> Visit::move_or_report(PodMover& mover, PodPlan plan, std::vector<std::string>& left) {
  auto key = kube::key_of(plan.pod);
  const Json& pod = plan.pod;
  if (surged_.held.contains(kube::uid_of(pod))) {
    left.push_back(key);
    co_return;
  }
  on_their_way_.insert(key);
  try {
    Json made = co_await mover.move(plan);
    ++moved_;
    if (made.is_null()) {
      owners_.add(pod);
    } else {
      owners_.add_made(made);
    }
    on_their_way_.erase(key);
    tell_of_next();
    co_return;
  } catch (const Interrupted&) {
    left.push_back(key);
    throw;
  } catch (const Error& error) {
    context_.report(error);
    context_.results().event(error.status() == ExitStatus::kBlocked ? "blocked" : "failed",
                             kube::kPods, pod, error.what());
  }
  on_their_way_.erase(key);
  left.push_back(key);
}

Task<> Visit::wait_for_replacements() {
  if (context_.dry_run() != cli::DryRun::kNone || owners_.empty()) co_return;
  tell("waiting until what was evicted is Ready elsewhere");
  std::function<void(const std::string&)> progress = [this](const std::string& missing) {
    if (context_.live().on_terminal()) {
      tell("waiting: " + missing);
    } else {
      context_.waiting(missing);
    }
  };
  std::string missing;
  try {
    co_await cni::wait_for_replacements(client_.until(context_.deadline()), owners_, progress);
    co_return;
  } catch (const TimedOut& error) {
    missing = error.what();
  }
  context_.live().drop(target_.name());
  throw blocked(
      fmt::format("node/{} is empty{}, but {}", target_.name(), state("and stays"), missing));
}

}  // namespace kcni::evict
