#include "common/cni/pod_visit.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "common/base/error.h"
#include "common/base/random.h"
#include "common/base/text.h"
#include "common/cni/residue_visit.h"
#include "common/kube/tracker.h"
#include "common/ssh/text.h"

namespace kcni::cni {

using kube::at;
using kube::Json;
using kube::text_at;
using std::chrono::seconds;

namespace {

using Tell = std::function<void(const std::string&)>;

// The pod's own shell only passes the script on, to the node's.
constexpr const char* kBootstrap =
    "printf '%s\\n' \"$KCNI_SCRIPT\" | exec nsenter -t 1 -m -u -n -i -- sh -s -- \"$@\"";

constexpr seconds kLongestRun{600};
constexpr seconds kKeptFor{60};  // when we cannot delete it
constexpr seconds kLongestWait{60};
constexpr seconds kBetweenLooks{5};
constexpr seconds kAMoment{1};
constexpr seconds kPullPatience{25};  // a registry's bad moment, or two

Json container_of(const PodVisit& where, const CleanupRequest& request) {
  Json command = {"sh", "-c", kBootstrap, "sh"};
  for (const auto& arg : script_args(request)) command.push_back(arg);
  Json script = {{"name", "KCNI_SCRIPT"}, {"value", residue_script()}};
  return {{"name", "cleanup"},
          {"image", where.image},
          {"imagePullPolicy", "IfNotPresent"},
          {"command", std::move(command)},
          {"env", Json::array({std::move(script)})},
          {"securityContext", {{"privileged", true}, {"runAsUser", 0}}}};
}

Json labels() {
  return {{"app.kubernetes.io/managed-by", "kubectl-cni"},
          {"app.kubernetes.io/component", "cleanup"}};
}

// Admission has its say about pods, and its no to a Job's pod is heard nowhere: so it is asked.
Task<> try_pod(kube::Client client, PodVisit where, Json job) {
  Json pod = at(job, "/spec/template");
  pod["metadata"]["name"] = at(job, "/metadata/name");
  auto answer = co_await client.trying().create(kube::kPods, where.ns, std::move(pod));
  if (answer.ok()) co_return;
  throw failed(
      fmt::format("node/{}: no pod for it can be made in namespace {}: {} (-n chooses "
                  "another namespace)",
                  where.node, where.ns, answer.message()));
}

const Json& container_state(const Json& pod) {
  return at(pod, "/status/containerStatuses/0/state");
}

std::string waiting_reason(const Json& pod) {
  return text_at(container_state(pod), "/waiting/reason");
}

// The kubelet will try again.
bool pull_failed(const Json& pod) {
  auto reason = waiting_reason(pod);
  return reason == "ErrImagePull" || reason == "ImagePullBackOff";
}

// Why it is never going to run, or "".
std::string hopeless(const Json& pod) {
  static const std::vector<std::string> kReasons{"InvalidImageName", "ErrImageNeverPull",
                                                 "CreateContainerConfigError",
                                                 "CreateContainerError"};
  auto reason = waiting_reason(pod);
  bool known = std::find(kReasons.begin(), kReasons.end(), reason) != kReasons.end();
  if (!known && !pull_failed(pod)) return "";
  return fmt::format("{}: {}", reason, text_at(container_state(pod), "/waiting/message"));
}

bool ended(const Json& pod) {
  auto phase = text_at(pod, "/status/phase");
  return phase == "Succeeded" || phase == "Failed" || (!hopeless(pod).empty() && !pull_failed(pod));
}

const Json* only_pod(const kube::Snapshot& pods) {
  return pods.empty() ? nullptr : &pods.begin()->second;
}

// Why the Job has given up, or "". Who may not read Jobs only waits longer.
Task<std::string> why_failed(kube::Client client, PodVisit where, std::string job) {
  auto answer = co_await client.get(kube::kJobs, where.ns, job);
  if (answer.not_found()) co_return "somebody has deleted it";
  if (!answer.ok()) co_return "";
  for (const auto& condition : at(answer.body, "/status/conditions")) {
    if (text_at(condition, "/type") != "Failed" || text_at(condition, "/status") != "True")
      continue;
    co_return fmt::format("{}: {}", text_at(condition, "/reason"), text_at(condition, "/message"));
  }
  co_return "";
}

/// What a look at the pod has come to.
class PodWatch {
 public:
  PodWatch(kube::Client client, const PodVisit& where, const std::string& job, const Tell& tell)
      : tracker_(client, query(where, job)), tell_(tell) {
    tracker_.start();
  }

  /// True when the pod has ended, false at the deadline.
  Task<bool> ends_until(Deadline deadline) {
    kube::Tracker::Condition condition = [this](const kube::Snapshot& pods) { return look(pods); };
    try {
      co_await tracker_.wait_until(std::move(condition), deadline);
      co_return true;
    } catch (const TimedOut&) {
      co_return false;
    }
  }

  bool gives_up_pulling() const {
    const auto* pods = tracker_.now();
    bool fails = pods && only_pod(*pods) && pull_failed(*only_pod(*pods));
    return fails && pull_failed_at_ && Clock::now() - *pull_failed_at_ > kPullPatience;
  }
  Json pod() const { return *only_pod(*tracker_.now()); }
  const std::string& state() const { return state_; }

 private:
  static kube::Query query(const PodVisit& where, const std::string& job) {
    kube::Query query;
    query.resource = &kube::kPods;
    query.ns = where.ns;
    query.label_selector = "job-name=" + job;
    return query;
  }

  bool look(const kube::Snapshot& pods) {
    const Json* pod = only_pod(pods);
    if (!pod) return false;
    auto reason = waiting_reason(*pod);
    state_ = "is " + (reason.empty() ? text_at(*pod, "/status/phase") : reason);
    tell_(state_ == "is Running" ? "looking at the node" : "its pod " + state_);
    if (pull_failed(*pod) && !pull_failed_at_) pull_failed_at_ = Clock::now();
    return ended(*pod);
  }

  kube::Tracker tracker_;
  const Tell& tell_;
  std::string state_ = "has no pod yet";
  std::optional<Clock::time_point> pull_failed_at_;
};

// Waits for the end of the Job's pod, and returns the pod.
Task<Json> wait_for_end(kube::Client client, PodVisit where, std::string job, Deadline deadline,
                        Tell tell) {
  PodWatch watch(client, where, job, tell);
  for (;;) {
    bool ended = co_await watch.ends_until(deadline.earlier(Deadline::after(kBetweenLooks)));
    if (ended || watch.gives_up_pulling()) co_return watch.pod();
    if (deadline.passed()) {
      throw TimedOut(
          fmt::format("node/{}: timed out while job.batch/{} in namespace {} {}; is the "
                      "kubelet there alive?",
                      where.node, job, where.ns, watch.state()));
    }
    auto reason = co_await why_failed(client, where, job);
    if (reason.empty()) continue;
    // A pod that has ended makes its Job fail: then its report counts.
    ended = co_await watch.ends_until(Deadline::after(kAMoment));
    if (ended) co_return watch.pod();
    throw failed(fmt::format("node/{}: job.batch/{} in namespace {} has failed: {}", where.node,
                             job, where.ns, printable(reason)));
  }
}

// The kubelet may need a moment until the log of a container that has just ended is whole.
Task<std::string> log_of(kube::Client client, PodVisit where, std::string pod) {
  for (int attempt = 0;; ++attempt) {
    auto answer = co_await client.log(where.ns, pod);
    if (answer.ok() && answer.text.find("end\t") != std::string::npos) co_return answer.text;
    if (attempt >= 3) {
      if (answer.ok()) co_return answer.text;
      throw failed(fmt::format("node/{}: the log of pod/{} in namespace {} cannot be read: {}",
                               where.node, pod, where.ns, answer.message()));
    }
    co_await client.loop().sleep(Milliseconds(500));
  }
}

Task<CleanupReport> read_report(kube::Client client, PodVisit where, Json pod) {
  auto reason = hopeless(pod);
  const Json& terminated = at(container_state(pod), "/terminated");
  if (reason.empty() && terminated.is_null()) {
    reason = fmt::format("{}: {}", text_at(pod, "/status/reason"), text_at(pod, "/status/message"));
  }
  if (reason.empty() && text_at(terminated, "/reason") == "StartError") {
    reason =
        fmt::format("image {} cannot be used: {}", where.image, text_at(terminated, "/message"));
  }
  if (!reason.empty()) {
    throw failed(
        fmt::format("node/{}: its pod did not run: {} (--image chooses another one that "
                    "has sh and nsenter)",
                    where.node, printable(reason)));
  }
  auto output = co_await log_of(client, where, kube::name_of(pod));
  auto status = static_cast<int>(kube::number_at(terminated, "/exitCode", -1));
  auto report = parse_report(output, status);
  if (report.complete()) co_return report;
  throw failed(
      fmt::format("node/{}: the cleanup script did not finish in pod/{} (exit status {}): "
                  "{}",
                  where.node, kube::name_of(pod), status, ssh::last_line(output)));
}

// By its name, which only we have chosen: the answer to its create may have been lost.
Task<> remove_job(kube::Client client, PodVisit where, std::string name, Tell tell) {
  auto remover = client.shielded().instead_until(Deadline::after(seconds(15)));
  kube::DeleteOptions options;
  options.propagation_policy = "Background";
  auto removed = co_await remover.remove(kube::kJobs, where.ns, name, options);
  if (removed.ok() || removed.not_found()) co_return;
  tell(fmt::format("job.batch/{} in namespace {} is left: {}; it goes by itself {} s after its end",
                   name, where.ns, removed.message(), kKeptFor.count()));
}

Task<CleanupReport> make_and_read(kube::Client client, PodVisit where, Json job, Deadline deadline,
                                  Tell tell) {
  auto name = kube::name_of(job);
  auto answer = co_await client.shielded().create(kube::kJobs, where.ns, std::move(job));
  bool ours = answer.conflict() && answer.sent_again;
  if (!ours) kube::body_or_throw(std::move(answer));
  auto pod = co_await wait_for_end(client, where, name, deadline, tell);
  co_return co_await read_report(client, where, std::move(pod));
}

Task<CleanupReport> visit_once(kube::Client client, PodVisit where, CleanupRequest request,
                               Deadline deadline, Tell tell) {
  auto job = cleanup_job(where, request, deadline);
  auto name = kube::name_of(job);
  co_await try_pod(client, where, job);
  std::optional<CleanupReport> report;
  std::exception_ptr error;
  try {
    report = co_await make_and_read(client, where, std::move(job), deadline, tell);
  } catch (...) {
    error = std::current_exception();
  }
  co_await remove_job(client, where, name, tell);
  if (error) std::rethrow_exception(error);
  co_return std::move(*report);
}

seconds longest_run(Deadline deadline) {
  constexpr seconds kGrace{30};  // until it is on its node
  auto left = deadline.left();
  if (!left) return kLongestRun;
  return std::clamp(std::chrono::ceil<seconds>(*left) + kGrace, kGrace, kLongestRun);
}

}  // namespace

Json cleanup_job(const PodVisit& where, const CleanupRequest& request, Deadline deadline) {
  Json pod = {{"nodeName", where.node},
              {"hostNetwork", true},
              {"hostPID", true},
              {"restartPolicy", "Never"},
              {"automountServiceAccountToken", false},
              {"enableServiceLinks", false},
              {"terminationGracePeriodSeconds", 5},
              {"tolerations", Json::array({{{"operator", "Exists"}}})},
              {"containers", Json::array({container_of(where, request)})}};
  if (!where.pull_secrets.empty()) pod["imagePullSecrets"] = where.pull_secrets;
  Json job_template = {{"metadata", {{"labels", labels()}}}, {"spec", std::move(pod)}};
  return {{"apiVersion", "batch/v1"},
          {"kind", "Job"},
          {"metadata", {{"name", "kubectl-cni-cleanup-" + random_word()}, {"labels", labels()}}},
          {"spec",
           {{"backoffLimit", 0},
            {"activeDeadlineSeconds", longest_run(deadline).count()},
            {"ttlSecondsAfterFinished", kKeptFor.count()},
            {"template", std::move(job_template)}}}};
}

Task<CleanupReport> visit_by_pod(kube::Client client, PodVisit where, CleanupRequest request,
                                 Deadline deadline, Tell tell) {
  bool waits = request.mode == CleanupRequest::Mode::kWaitConf;
  std::string in_the_way = "no answer yet";
  for (;;) {
    if (waits) request.wait = wait_slice(deadline, kLongestWait, kLongestWait);
    // A little more, so that the last answer can still say what is in the way.
    auto left = deadline.left();
    auto grace = waits && left ? Deadline::after(*left + seconds(10)) : deadline;
    auto report = co_await visit_once(client.instead_until(grace), where, request, grace, tell);
    if (!waits || !report.waited_in_vain()) co_return report;
    if (!report.failed.empty()) in_the_way = describe(report.failed.back());
    if (deadline.passed()) {
      throw TimedOut(fmt::format("node/{}: timed out waiting for the new CNI's configuration: {}",
                                 where.node, in_the_way));
    }
  }
}

std::string image_on(const Json& node, const std::vector<std::string>& images) {
  for (const auto& image : images) {
    for (const auto& present : at(node, "/status/images")) {
      for (const auto& name : at(present, "/names")) {
        if (name == image) return image;
      }
    }
  }
  return images.empty() ? "" : images.front();
}

}  // namespace kcni::cni
