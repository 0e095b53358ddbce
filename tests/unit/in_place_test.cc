// How a workload would be pinned, decided without a server.
#include "common/cni/in_place.h"

#include "common/cni/names.h"
#include "tests/unit/catch.h"

using kcni::cni::decide_way;
using kcni::cni::PinWay;
using kcni::cni::PinWish;
using kcni::cni::Surroundings;
using kcni::cni::Workload;
using kcni::kube::Json;

namespace {

PinWish wish(const char* value) {
  PinWish wish;
  wish.key = "cni";
  if (*value) wish.value = value;
  return wish;
}

Json node(const char* name, const char* cni) {
  return {{"metadata", {{"name", name}, {"labels", {{"cni", cni}}}}}};
}

Json pod(const char* node, Json selector = Json::object()) {
  return {{"metadata", {{"name", "db-0"}}},
          {"spec", {{"nodeName", node}, {"nodeSelector", std::move(selector)}}}};
}

// One pod, of the newest revision, as its controller has it counted.
Workload stateful_set(const char* strategy = "RollingUpdate", Json selector = Json::object()) {
  Json object = {{"metadata", {{"name", "db"}, {"namespace", "data"}, {"generation", 1}}},
                 {"spec", {{"updateStrategy", {{"type", strategy}}}}},
                 {"status",
                  {{"observedGeneration", 1},
                   {"replicas", 1},
                   {"updatedReplicas", 1},
                   {"currentRevision", "db-1"},
                   {"updateRevision", "db-1"}}}};
  object["spec"]["template"]["spec"]["nodeSelector"] = std::move(selector);
  return {&kcni::kube::kStatefulSets, object};
}

const Json kFlannelNode = node("w1", "flannel");
const Json kOtherNode = node("w2", "none");

Surroundings around(const Json& pod) {
  Surroundings around;
  around.pods = {&pod};
  around.nodes = {&kFlannelNode, &kOtherNode};
  return around;
}

}  // namespace

TEST_CASE("pin way: in place where the pod may stay, a rollout where it must move") {
  auto stays = pod("w1"), moves = pod("w2");
  CHECK(decide_way(stateful_set(), wish("flannel"), around(stays)).way == PinWay::kInPlace);
  CHECK(decide_way(stateful_set(), wish("flannel"), around(moves)).way == PinWay::kRollout);
}

TEST_CASE("pin way: its user's own OnDelete is told of where pods would have to follow") {
  auto stays = pod("w1"), moves = pod("w2");
  auto decision = decide_way(stateful_set("OnDelete"), wish("flannel"), around(moves));
  CHECK(decision.way == PinWay::kTemplate);
  CHECK(decision.idle.find("OnDelete") != std::string::npos);
  CHECK(decide_way(stateful_set("OnDelete"), wish("flannel"), around(stays)).idle.empty());
}

TEST_CASE("pin way: taking it off rolls only pods that were born with it") {
  auto pinned = stateful_set("RollingUpdate", {{"cni", "flannel"}});
  pinned.object["metadata"]["annotations"][kcni::cni::kPinnedAnnotation] = "cni";
  auto before = pod("w1"), after = pod("w1", {{"cni", "flannel"}});
  CHECK(decide_way(pinned, wish(""), around(before)).way == PinWay::kInPlace);
  CHECK(decide_way(pinned, wish(""), around(after)).way == PinWay::kRollout);
}

TEST_CASE("pin way: what the pin had replaced, and the user's affinity, are no pin") {
  auto pinned = stateful_set("RollingUpdate", {{"cni", "flannel"}});
  auto& annotations = pinned.object["metadata"]["annotations"];
  annotations[kcni::cni::kPinnedAnnotation] = "cni";
  annotations[kcni::cni::kPinnedOverAnnotation] = "mine";
  auto older = pod("w1", {{"cni", "mine"}});
  older["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
       ["nodeSelectorTerms"] = {{{"matchExpressions", {{{"key", "cni"}, {"operator", "Exists"}}}}}};
  CHECK(decide_way(pinned, wish(""), around(older)).way == PinWay::kInPlace);
}

TEST_CASE(
    "in place: a Deployment's history is one longer meanwhile, unless its user says otherwise") {
  Json object = {{"metadata", {{"name", "web"}, {"namespace", "shop"}, {"resourceVersion", "7"}}},
                 {"spec", {{"revisionHistoryLimit", 2}}}};
  object["spec"]["template"]["spec"]["containers"] = Json::array();
  Workload deployment{&kcni::kube::kDeployments, object};
  auto patch = kcni::cni::in_place_patch(deployment, wish("flannel"));
  CHECK(patch["spec"]["revisionHistoryLimit"] == 3);
  CHECK(patch["spec"]["paused"] == true);
  deployment.object.merge_patch(patch);
  CHECK(kcni::cni::remembered(deployment.object) ==
        Json({{"paused", false}, {"revisionHistoryLimit", 2}}));
  auto again = kcni::cni::in_place_patch(deployment, wish("flannel"));
  CHECK_FALSE(again["spec"].contains("revisionHistoryLimit"));
  auto back = kcni::cni::put_back_patch(deployment.object);
  CHECK(back["spec"] == Json({{"paused", nullptr}, {"revisionHistoryLimit", 2}}));
  deployment.object["spec"]["revisionHistoryLimit"] = 7;
  CHECK_FALSE(
      kcni::cni::put_back_patch(deployment.object)["spec"].contains("revisionHistoryLimit"));
}

TEST_CASE(
    "in place: a strategy that rolls again is its user's, and the note means nothing any more") {
  auto set = stateful_set("OnDelete");
  set.object["metadata"]["annotations"][kcni::cni::kInPlaceAnnotation] =
      R"({"updateStrategy": {"type": "RollingUpdate"}})";
  CHECK_FALSE(kcni::cni::remembered(set.object).is_null());
  set.object["spec"]["updateStrategy"] = {{"type", "RollingUpdate"},
                                          {"rollingUpdate", {{"partition", 3}}}};
  CHECK(kcni::cni::remembered(set.object).is_null());
  CHECK_FALSE(kcni::cni::put_back_patch(set.object).contains("spec"));
  auto stays = pod("w1");
  CHECK(decide_way(set, wish(""), around(stays)).refusal.find("partition is 3") !=
        std::string::npos);
}

TEST_CASE("pin way: a rollout does not reach what a partition holds back") {
  auto set = stateful_set();
  set.object["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 2;
  auto moves = pod("w2");
  auto decision = decide_way(set, wish("flannel"), around(moves));
  CHECK(decision.way == PinWay::kRollout);
  CHECK(decision.idle.find("partition 2") != std::string::npos);
}
