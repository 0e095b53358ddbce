// What evict decides from objects as read: fates of pods, surges, budgets, what holds a pod.
#include <sstream>

#include "catch.h"
#include "common/base/time.h"
#include "common/cli/live_lines.h"
#include "common/cni/budgets.h"
#include "common/cni/eviction_plan.h"
#include "common/cni/replacements.h"
#include "common/cni/scheduling.h"
#include "common/cni/stuck.h"
#include "common/cni/surge.h"

using namespace kcni;
using cni::EvictionRules;
using cni::PodFate;
using kube::Json;

namespace {

Json pod_of(const char* kind) {
  return {{"metadata",
           {{"name", "web-1"},
            {"namespace", "shop"},
            {"uid", "u1"},
            {"labels", {{"app", "web"}, {"tier", "front"}}},
            {"ownerReferences",
             {{{"apiVersion", "apps/v1"},
               {"kind", kind},
               {"name", "web"},
               {"uid", "o1"},
               {"controller", true}}}}}},
          {"spec", {{"nodeName", "w1"}}}};
}

Json deleted(Json pod, const char* when) {
  pod["metadata"]["deletionTimestamp"] = when;
  return pod;
}

Json deployment(Json strategy, int replicas) {
  return {{"spec", {{"replicas", replicas}, {"strategy", std::move(strategy)}}}};
}

Json rolling(Json surge, Json away) {
  return {{"type", "RollingUpdate"},
          {"rollingUpdate", {{"maxSurge", std::move(surge)}, {"maxUnavailable", std::move(away)}}}};
}

Json node(const char* ready) {
  return {{"status",
           {{"conditions",
             {{{"type", "Ready"}, {"status", ready}, {"message", "Kubelet stopped posting"}}}}}}};
}

}  // namespace

TEST_CASE("evict: pods of DaemonSets stay, unless on the pod network and asked for") {
  EvictionRules rules;
  auto pod = pod_of("DaemonSet");
  CHECK(plan_eviction(pod, rules).fate == PodFate::kLeave);
  rules.daemonset_pods = true;
  CHECK(plan_eviction(pod, rules).fate == PodFate::kDelete);
  CHECK(plan_eviction(deleted(pod, "2026-11-23T10:53:00Z"), rules).fate == PodFate::kWait);
  pod["spec"]["hostNetwork"] = true;
  CHECK(plan_eviction(pod, rules).fate == PodFate::kLeave);
  CHECK(plan_eviction(deleted(pod, "2026-11-23T10:53:00Z"), rules).fate == PodFate::kLeave);
}

TEST_CASE("evict: pods of DaemonSets are refused when not ignored, and when theirs is gone") {
  EvictionRules rules;
  auto pod = pod_of("DaemonSet");
  rules.ignore_daemonsets = false;
  CHECK(plan_eviction(pod, rules).fate == PodFate::kRefuse);
  rules.ignore_daemonsets = true;
  rules.orphans = {"u1"};
  CHECK(plan_eviction(pod, rules).fate == PodFate::kRefuse);
  rules.force = true;
  CHECK(plan_eviction(pod, rules).fate == PodFate::kEvict);
}

TEST_CASE("evict: a bare pod moves only where another node suits it, and may have to wait there") {
  EvictionRules rules;
  rules.recreate_bare_pods = true;
  rules.key = "cni";
  Json pod = {
      {"metadata", {{"name", "tool"}, {"namespace", "shop"}, {"uid", "u1"}}},
      {"spec", {{"nodeName", "w1"}, {"nodeSelector", {{"cni", "flannel"}, {"disk", "fast"}}}}}};
  Json other = {{"metadata", {{"name", "w2"}, {"labels", {{"disk", "fast"}}}}},
                {"spec", Json::object()}};
  auto pending = [&](const std::set<std::string>& leaving) {
    return cni::left_pending({plan_eviction(pod, rules)}, rules, leaving).size();
  };
  rules.nodes = std::vector<Json>{other};
  CHECK(plan_eviction(pod, rules).fate == PodFate::kRecreate);
  CHECK(pending({}) == 0);
  CHECK(pending({"w2"}) == 1);
  other["spec"]["unschedulable"] = true;
  rules.nodes = std::vector<Json>{other};
  CHECK(plan_eviction(pod, rules).fate == PodFate::kRecreate);
  CHECK(pending({}) == 1);
  pod["spec"]["tolerations"] = {{{"operator", "Exists"}}};
  CHECK(plan_eviction(pod, rules).fate == PodFate::kRefuse);
  pod["spec"].erase("tolerations");
  rules.nodes->clear();
  CHECK(plan_eviction(pod, rules).fate == PodFate::kRefuse);
  rules.nodes.reset();
  CHECK(plan_eviction(pod, rules).fate == PodFate::kRecreate);
}

TEST_CASE("a node takes a pod as its taints and cordon and the tolerations say") {
  Json node = {
      {"spec", {{"taints", {{{"key", "gpu"}, {"value", "a"}, {"effect", "NoSchedule"}}}}}}};
  auto tolerating = [](Json toleration) -> Json {
    return {{"tolerations", {std::move(toleration)}}};
  };
  CHECK_FALSE(cni::takes_pod(node, Json::object()));
  CHECK(cni::takes_pod(node, tolerating({{"operator", "Exists"}})));
  CHECK(cni::takes_pod(node, tolerating({{"key", "gpu"}, {"value", "a"}})));
  CHECK_FALSE(cni::takes_pod(node, tolerating({{"key", "gpu"}, {"value", "b"}})));
  CHECK_FALSE(cni::takes_pod(
      node, tolerating({{"key", "gpu"}, {"operator", "Exists"}, {"effect", "NoExecute"}})));
  node["spec"]["taints"][0]["effect"] = "PreferNoSchedule";
  CHECK(cni::takes_pod(node, Json::object()));
  node["spec"]["unschedulable"] = true;
  CHECK_FALSE(cni::takes_pod(node, Json::object()));
  CHECK(cni::takes_pod(node, tolerating({{"operator", "Exists"}})));
}

TEST_CASE("evict: what has been in deletion for long is not waited for, if so asked") {
  EvictionRules rules;
  auto now = *parse_rfc3339("2026-11-23T11:00:00Z");
  auto pod = deleted(pod_of("ReplicaSet"), "2026-11-23T10:59:30Z");
  CHECK(plan_eviction(pod, rules, now).fate == PodFate::kWait);
  rules.skip_after = std::chrono::seconds(60);
  CHECK(plan_eviction(pod, rules, now).fate == PodFate::kWait);
  rules.skip_after = std::chrono::seconds(20);
  CHECK(plan_eviction(pod, rules, now).fate == PodFate::kLeave);
}

TEST_CASE("surge: only where a rollout leaves a Ready pod at any moment") {
  CHECK(cni::surge_refusal(deployment(rolling("25%", "25%"), 1)).empty());
  CHECK(cni::surge_refusal(deployment(rolling(1, 0), 3)).empty());
  CHECK(cni::surge_refusal(deployment(rolling("25%", "25%"), 8)).empty());
  CHECK(cni::surge_refusal(deployment(rolling(0, 1), 2)) == "its maxSurge is 0");
  CHECK(cni::surge_refusal(deployment(rolling(1, 1), 1)) ==
        "its maxUnavailable comes to all of its 1 pods");
  CHECK(cni::surge_refusal(deployment(rolling(1, "100%"), 4)) ==
        "its maxUnavailable comes to all of its 4 pods");
  CHECK(cni::surge_refusal(deployment({{"type", "Recreate"}}, 1)) == "its strategy is Recreate");
  auto paused = deployment(rolling(1, 0), 1);
  paused["spec"]["paused"] = true;
  CHECK(cni::surge_refusal(paused) == "it is paused");
}

TEST_CASE("surge: a rollout past its deadline is stuck, that of a generation before is not") {
  Json object = {{"metadata", {{"generation", 2}}},
                 {"status",
                  {{"observedGeneration", 2},
                   {"conditions",
                    {{{"type", "Progressing"},
                      {"status", "False"},
                      {"reason", "ProgressDeadlineExceeded"},
                      {"message", "has timed out progressing."}}}}}}};
  CHECK(cni::rollout_stuck(object) == "has timed out progressing.");
  object["metadata"]["generation"] = 3;
  CHECK(cni::rollout_stuck(object).empty());
}

TEST_CASE("a label selector matches as the API says") {
  auto pod = pod_of("ReplicaSet");
  CHECK(cni::selector_matches({{"matchLabels", {{"app", "web"}}}}, pod));
  CHECK_FALSE(cni::selector_matches({{"matchLabels", {{"app", "db"}}}}, pod));
  Json in = {{"key", "tier"}, {"operator", "In"}, {"values", {"front", "back"}}};
  Json absent = {{"key", "tier"}, {"operator", "DoesNotExist"}};
  CHECK(cni::selector_matches({{"matchExpressions", {in}}}, pod));
  CHECK_FALSE(cni::selector_matches({{"matchExpressions", {in, absent}}}, pod));
  CHECK(cni::selector_matches(Json::object(), pod));
  CHECK_FALSE(cni::selector_matches(nullptr, pod));
}

TEST_CASE("budgets of a pod are found by their selectors") {
  Json one = {{"metadata", {{"name", "one"}}},
              {"spec", {{"selector", {{"matchLabels", {{"app", "web"}}}}}}}};
  Json two = {{"metadata", {{"name", "two"}}},
              {"spec", {{"selector", {{"matchLabels", {{"tier", "front"}}}}}}}};
  Json other = {{"metadata", {{"name", "other"}}},
                {"spec", {{"selector", {{"matchLabels", {{"app", "db"}}}}}}}};
  CHECK(cni::budgets_of({one, other, two}, pod_of("ReplicaSet")) ==
        std::vector<std::string>{"one", "two"});
}

TEST_CASE("what holds a pod that is being deleted") {
  auto pod = pod_of("ReplicaSet");
  pod["status"]["containerStatuses"] = {{{"name", "app"}, {"state", {{"running", {{"a", 1}}}}}}};
  CHECK(cni::stuck_reason(pod, node("True")) == "still running: container app");
  CHECK(cni::stuck_reason(pod, node("Unknown")) ==
        "the kubelet of node/w1 does not confirm it: not Ready (Kubelet stopped posting)");
  CHECK(cni::stuck_reason(pod, nullptr) == "its node w1 is gone");
  pod["metadata"]["finalizers"] = {"example.com/keep"};
  CHECK(cni::stuck_reason(pod, node("True")) ==
        "its finalizers have not been taken off: example.com/keep");
}

TEST_CASE("replacements: owners of pods that are replaced one by one") {
  cni::Owners owners;
  owners.add(pod_of("Job"));
  owners.add(pod_of("DaemonSet"));
  CHECK(owners.empty());
  owners.add(pod_of("ReplicaSet"));
  CHECK_FALSE(owners.empty());
  owners.add_made({{"metadata", {{"name", "tool"}, {"namespace", "shop"}, {"uid", "u2"}}}});
  CHECK(owners.by_place().size() == 2);
  Json made = {{"kind", "Pod"}, {"status", {{"phase", "Pending"}}}};
  CHECK(cni::replacement_missing(made) == "it is not ready");
  made["status"]["phase"] = "Succeeded";
  CHECK(cni::replacement_missing(made).empty());
  Json set = {{"spec", {{"replicas", 2}}}, {"status", {{"readyReplicas", 1}}}};
  CHECK(cni::replacement_missing(set) == "1 of 2 pods are ready");
  set["status"]["readyReplicas"] = 2;
  CHECK(cni::replacement_missing(set).empty());
  set["metadata"]["generation"] = 1;
  CHECK(cni::replacement_missing(set) == "its controller has not seen the change yet");
}

TEST_CASE("live lines: drawn at the bottom of a terminal, and taken away before anything else") {
  std::ostringstream screen;
  cli::LiveLines live(screen, 20, 10);
  live.set("w1", "node/w1 waits for a pod with a long name");
  CHECK(screen.str() == "node/w1 waits for a\n");
  live.hide();
  CHECK(screen.str() == "node/w1 waits for a\n\r\x1b[1A\x1b[J");
  live.show();
  live.drop("w1");
  CHECK(live.empty());
  std::ostringstream file;
  cli::LiveLines none(file, 0, 10);
  none.set("w1", "text");
  none.show();
  CHECK(file.str().empty());
  CHECK(cli::bar(5, 10) == "[##########..........] 5/10");
  CHECK(cli::bar(0, 0) == "[####################] 0/0");
}
