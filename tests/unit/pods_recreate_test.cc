#include "common/cni/pods_recreate.h"

#include "tests/unit/catch.h"

using namespace kcni;
using kube::Json;

namespace {

Json running_pod() {
  return Json::parse(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "lone", "namespace": "shop", "uid": "u-1", "resourceVersion": "7",
      "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "lone"},
      "annotations": {"note": "keep"},
      "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:containers": {}}}}]},
    "spec": {"nodeName": "w1", "nodeSelector": {"cni": "flannel", "disk": "ssd"}, "priority": 0,
      "preemptionPolicy": "PreemptLowerPriority", "serviceAccount": "default",
      "serviceAccountName": "default", "ephemeralContainers": [{"name": "debug"}],
      "containers": [{"name": "c", "image": "i", "args": ["a", "b"],
        "volumeMounts": [{"name": "kube-api-access-x1", "mountPath": "/var/run/secrets"}]}],
      "volumes": [{"name": "kube-api-access-x1", "projected": {}}]},
    "status": {"phase": "Running"}})");
}

}  // namespace

TEST_CASE("recreatable_pod drops what the server, the scheduler and admission set") {
  auto pod = cni::recreatable_pod(running_pod(), "cni");
  CHECK(pod["metadata"] == Json::parse(R"({"name": "lone", "namespace": "shop",
    "labels": {"app": "lone"}, "annotations": {"note": "keep"}})"));
  for (const char* gone :
       {"nodeName", "priority", "preemptionPolicy", "serviceAccount", "ephemeralContainers"}) {
    CHECK_FALSE(pod["spec"].contains(gone));
  }
  CHECK_FALSE(pod.contains("status"));
  CHECK(pod["spec"]["volumes"].size() == 1);
}

TEST_CASE("recreatable_pod takes off our pin and leaves other selectors") {
  CHECK(cni::recreatable_pod(running_pod(), "cni")["spec"]["nodeSelector"] ==
        Json({{"disk", "ssd"}}));
  auto pod = running_pod();
  pod["spec"]["nodeSelector"].erase("disk");
  CHECK_FALSE(cni::recreatable_pod(pod, "cni")["spec"].contains("nodeSelector"));
  CHECK(cni::recreatable_pod(pod, "other")["spec"]["nodeSelector"]["cni"] == "flannel");
}

TEST_CASE("node_chosen_by_user tells a user's nodeName from the scheduler's") {
  auto pod = running_pod();
  CHECK_FALSE(cni::node_chosen_by_user(pod));
  pod["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:nodeName"] = Json::object();
  CHECK(cni::node_chosen_by_user(pod));
  pod["metadata"]["managedFields"][0]["manager"] = "kube-scheduler";
  CHECK_FALSE(cni::node_chosen_by_user(pod));
}

TEST_CASE("same_pod looks past identity and placement only") {
  auto fresh = running_pod();
  fresh["metadata"]["uid"] = "u-2";
  fresh["spec"]["nodeName"] = "w2";
  fresh["spec"]["nodeSelector"].erase("cni");
  fresh["spec"]["volumes"][0]["name"] = "kube-api-access-y2";
  fresh["spec"]["containers"][0]["volumeMounts"][0]["name"] = "kube-api-access-y2";
  fresh["metadata"]["labels"]["added"] = "by-a-webhook";
  CHECK(cni::same_pod(running_pod(), fresh, "cni"));
  fresh["spec"]["containers"][0]["args"] = {"b", "a"};
  CHECK(cni::pod_difference(running_pod(), fresh, "cni") == "spec.containers[0]");
}

TEST_CASE(
    "recreatable_pod takes out what the server merged of matchLabelKeys, and its node's labels") {
  auto pod = running_pod();
  pod["metadata"]["labels"]["topology.kubernetes.io/zone"] = "z1";
  Json merged = {{"key", "app"}, {"operator", "In"}, {"values", {"lone"}}};
  Json own = {{"key", "tier"}, {"operator", "Exists"}};
  pod["spec"]["topologySpreadConstraints"] = {
      {{"matchLabelKeys", {"app"}}, {"labelSelector", {{"matchExpressions", {own, merged}}}}}};
  Json other = {{"key", "app"}, {"operator", "NotIn"}, {"values", {"lone"}}};
  pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = {
      {{"weight", 1},
       {"podAffinityTerm",
        {{"mismatchLabelKeys", {"app"}}, {"labelSelector", {{"matchExpressions", {other}}}}}}}};
  auto fresh = cni::recreatable_pod(pod, "cni");
  CHECK(fresh["metadata"]["labels"] == Json({{"app", "lone"}}));
  CHECK(fresh["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"] ==
        Json::array({own}));
  CHECK(fresh["spec"]["affinity"]["podAntiAffinity"]
             ["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]
             ["labelSelector"] == Json::object());
  auto elsewhere = pod;
  elsewhere["metadata"]["labels"]["topology.kubernetes.io/zone"] = "z2";
  CHECK(cni::same_pod(pod, elsewhere, "cni"));
}
