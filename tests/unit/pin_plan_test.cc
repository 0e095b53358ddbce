// What pin would change, decided without a server.
#include "common/cni/pin_plan.h"

#include "common/cni/names.h"
#include "tests/unit/catch.h"

using kcni::cni::pin_patch;
using kcni::cni::PinChange;
using kcni::cni::PinWish;
using kcni::cni::plan_pin;
using kcni::cni::Workload;
using kcni::kube::at;
using kcni::kube::Json;
using Kind = PinChange::Kind;

namespace {

Workload deployment(Json selector = nullptr) {
  Json object = {{"apiVersion", "apps/v1"},
                 {"kind", "Deployment"},
                 {"metadata", {{"name", "web"}, {"namespace", "shop"}, {"resourceVersion", "7"}}}};
  object["spec"]["template"]["spec"]["containers"] = Json::array();
  if (!selector.is_null()) object["spec"]["template"]["spec"]["nodeSelector"] = selector;
  return {&kcni::kube::kDeployments, object};
}

PinWish to(const char* value) {
  PinWish wish;
  wish.key = "cni";
  if (*value) wish.value = value;
  return wish;
}

void mark(Workload& workload, const char* annotation, const char* value) {
  workload.object["metadata"]["annotations"][annotation] = value;
}

}  // namespace

TEST_CASE("pin: set once, then unchanged") {
  CHECK(plan_pin(deployment(), to("flannel")).kind == Kind::kSet);
  CHECK(plan_pin(deployment({{"disk", "ssd"}}), to("flannel")).kind == Kind::kSet);
  CHECK(plan_pin(deployment({{"cni", "flannel"}}), to("flannel")).kind == Kind::kUnchanged);
}

TEST_CASE("pin: a value of somebody else's needs --overwrite, ours does not") {
  auto workload = deployment({{"cni", "calico"}});
  auto change = plan_pin(workload, to("flannel"));
  CHECK(change.kind == Kind::kRefused);
  CHECK(change.reason.find("--overwrite") != std::string::npos);
  auto wish = to("flannel");
  wish.overwrite = true;
  CHECK(plan_pin(workload, wish).kind == Kind::kSet);
  mark(workload, kcni::cni::kPinnedAnnotation, "cni");
  CHECK(plan_pin(workload, to("flannel")).kind == Kind::kSet);
}

TEST_CASE("pin: by one key at a time, for only one is remembered") {
  auto workload = deployment({{"cni", "flannel"}});
  mark(workload, kcni::cni::kPinnedAnnotation, "cni");
  auto wish = to("flannel");
  wish.key = "network";
  auto change = plan_pin(workload, wish);
  CHECK(change.kind == Kind::kRefused);
  CHECK(change.reason.find("pin --remove --key cni") != std::string::npos);
  wish.value.reset();
  CHECK(plan_pin(workload, wish).kind == Kind::kUnchanged);
}

TEST_CASE("pin: the patch carries the resourceVersion, the pin, and what stood there") {
  auto patch = pin_patch(deployment(), to("flannel"));
  CHECK(at(patch, "/metadata/resourceVersion") == "7");
  CHECK(at(patch, "/spec/template/spec/nodeSelector/cni") == "flannel");
  CHECK(at(patch, "/metadata/annotations").at(kcni::cni::kPinnedAnnotation) == "cni");

  auto wish = to("flannel");
  wish.overwrite = true;
  auto over = pin_patch(deployment({{"cni", "calico"}}), wish);
  CHECK(at(over, "/metadata/annotations").at(kcni::cni::kPinnedOverAnnotation) == "calico");
}

TEST_CASE("pin --remove: takes off ours and puts back what stood there") {
  auto workload = deployment({{"cni", "flannel"}});
  CHECK(plan_pin(workload, to("")).kind == Kind::kSkipped);
  mark(workload, kcni::cni::kPinnedAnnotation, "cni");
  CHECK(plan_pin(workload, to("")).kind == Kind::kRemove);
  CHECK(at(pin_patch(workload, to("")), "/spec/template/spec/nodeSelector/cni") == nullptr);
  mark(workload, kcni::cni::kPinnedOverAnnotation, "calico");
  CHECK(at(pin_patch(workload, to("")), "/spec/template/spec/nodeSelector/cni") == "calico");
  CHECK(plan_pin(deployment(), to("")).kind == Kind::kUnchanged);
}

TEST_CASE("pin: the host network and what was broken before are left alone, unless named") {
  auto host = deployment();
  host.object["spec"]["template"]["spec"]["hostNetwork"] = true;
  CHECK(plan_pin(host, to("flannel")).kind == Kind::kSkipped);

  auto broken = deployment();
  mark(broken, kcni::cni::kNotReadyBeforeAnnotation, "true");
  CHECK(plan_pin(broken, to("flannel")).kind == Kind::kSkipped);
  auto wish = to("flannel");
  wish.named = true;
  CHECK(plan_pin(broken, wish).kind == Kind::kSet);
}

TEST_CASE("pin: a ReplicaSet of a Deployment is out of scope, refused when named") {
  Workload owned = deployment();
  owned.resource = &kcni::kube::kReplicaSets;
  owned.object["metadata"]["ownerReferences"] = Json::array(
      {{{"apiVersion", "apps/v1"}, {"kind", "Deployment"}, {"name", "web"}, {"controller", true}}});
  CHECK(plan_pin(owned, to("flannel")).kind == Kind::kOutOfScope);
  auto wish = to("flannel");
  wish.named = true;
  CHECK(plan_pin(owned, wish).kind == Kind::kRefused);
}

TEST_CASE("pin: a CNI's DaemonSet is pinned only on purpose") {
  Workload flannel = deployment();
  flannel.resource = &kcni::kube::kDaemonSets;
  flannel.object["spec"]["template"]["metadata"]["labels"]["app"] = "flannel";
  CHECK(plan_pin(flannel, to("flannel")).kind == Kind::kOutOfScope);
  auto wish = to("flannel");
  wish.named = true;
  CHECK(plan_pin(flannel, wish).kind == Kind::kSet);
}

TEST_CASE("pin: only a Job that never started takes another template") {
  auto suspended = deployment();
  suspended.resource = &kcni::kube::kJobs;
  suspended.object["spec"]["suspend"] = true;
  CHECK(plan_pin(suspended, to("flannel")).kind == Kind::kSet);
  suspended.object["status"]["startTime"] = "2026-01-01T00:00:00Z";
  CHECK(plan_pin(suspended, to("flannel")).kind == Kind::kSkipped);
}

TEST_CASE("pin: --managed=skip leaves alone what others look after") {
  auto helm = deployment();
  helm.object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm";
  CHECK(plan_pin(helm, to("flannel")).kind == Kind::kSet);
  auto wish = to("flannel");
  wish.skip_managed = true;
  CHECK(plan_pin(helm, wish).kind == Kind::kSkipped);
  CHECK(plan_pin(deployment(), wish).kind == Kind::kSet);
}

TEST_CASE("pin: a Job's template cannot be changed") {
  auto job = deployment();
  job.resource = &kcni::kube::kJobs;
  CHECK(plan_pin(job, to("flannel")).kind == Kind::kSkipped);
}
