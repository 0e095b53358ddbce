#include <fmt/format.h>

#include "common/cni/compare.h"
#include "common/cni/create_anew.h"
#include "common/cni/services_broken.h"
#include "common/cni/services_recreate.h"
#include "common/cni/services_restore.h"
#include "common/cni/services_select.h"
#include "tests/unit/catch.h"

using namespace kcni;
using kube::Json;

namespace {

Json web() {
  return Json::parse(R"({
    "apiVersion": "v1", "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "7",
      "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "web"}, "managedFields": []},
    "spec": {"type": "NodePort", "clusterIP": "10.96.0.12", "clusterIPs": ["10.96.0.12"],
      "selector": {"app": "web"},
      "ports": [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080}]},
    "status": {"loadBalancer": {}}})");
}

bool says(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

std::string left_alone(const Json& service, cni::ServiceConsent consent = {}) {
  return cni::why_left_alone(service, consent).value_or("");
}

Json with(const char* pointer, Json value) {
  auto service = web();
  service[Json::json_pointer(pointer)] = std::move(value);
  return service;
}

kube::Answer answer(int status, const char* body) {
  return {status, Json::parse(body), {}};
}

Json pod(const std::string& name, const std::string& ip) {
  Json result;
  result["metadata"] = {{"name", name}, {"namespace", "shop"}, {"uid", "p-" + name}};
  result["metadata"]["labels"]["app"] = "web";
  result["status"]["podIPs"] = Json::array({{{"ip", ip}}});
  result["status"]["conditions"] = Json::array({{{"type", "Ready"}, {"status", "True"}}});
  return result;
}

Json slice_of(const std::string& pod_name, const std::string& ip) {
  Json endpoint;
  endpoint["addresses"] = {ip};
  endpoint["targetRef"] = {{"kind", "Pod"}, {"name", pod_name}, {"uid", "p-" + pod_name}};
  Json slice;
  slice["metadata"] = {{"name", "web-x"}, {"namespace", "shop"}};
  slice["metadata"]["labels"]["kubernetes.io/service-name"] = "web";
  slice["endpoints"] = Json::array({endpoint});
  return slice;
}

}  // namespace

TEST_CASE("recreatable_service keeps addresses and drops what the server writes") {
  auto service = web();
  service["metadata"]["finalizers"] = {"service.kubernetes.io/load-balancer-cleanup"};
  auto fresh = cni::recreatable_service(service);
  CHECK(fresh["spec"] == service["spec"]);
  CHECK(fresh["metadata"]["finalizers"] == service["metadata"]["finalizers"]);
  fresh["metadata"].erase("finalizers");
  CHECK(fresh["metadata"] ==
        Json::parse(R"({"name": "web", "namespace": "shop", "labels": {"app": "web"}})"));
  CHECK_FALSE(fresh.contains("status"));
}

TEST_CASE("recreatable_status is what a platform wrote, if it wrote anything") {
  CHECK(cni::recreatable_status(web()).is_null());
  auto balancer =
      with("/status", Json::parse(R"({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})"));
  CHECK(cni::recreatable_status(balancer) == balancer["status"]);
}

TEST_CASE("service_difference names the first field that is not as it was") {
  CHECK(cni::service_difference(web(), web()).empty());
  CHECK(cni::service_difference(web(), with("/metadata/uid", "u-2")).empty());
  CHECK(cni::service_difference(web(), with("/metadata/annotations", {{"a", "b"}})).empty());
  CHECK(cni::service_difference(web(), with("/spec/clusterIP", "10.96.0.13")) == "spec.clusterIP");
  CHECK(cni::service_difference(web(), with("/spec/ports/0/nodePort", 30081)) ==
        "spec.ports[0].nodePort");
  CHECK(cni::service_difference(web(), with("/spec/externalIPs", {"1.2.3.4"})) ==
        "spec.externalIPs");
  CHECK(cni::service_difference(web(), with("/metadata/labels", Json::object())) ==
        "metadata.labels.app");
}

TEST_CASE("an ordinary Service may be recreated") {
  CHECK(left_alone(web()).empty());
}

TEST_CASE("Services that nothing makes recreatable") {
  cni::ServiceConsent all{true, true, true, true};
  auto api = web();
  api["metadata"]["name"] = "kubernetes";
  api["metadata"]["namespace"] = "default";
  CHECK(says(left_alone(api, all), "never"));
  CHECK(says(left_alone(with("/spec/clusterIP", "None"), all), "headless"));
  CHECK(says(left_alone(with("/spec/type", "ExternalName"), all), "ExternalName"));
  CHECK(says(left_alone(with("/metadata/deletionTimestamp", "2026-01-01T00:00:00Z"), all),
             "being deleted"));
  auto shared = web();
  shared["spec"]["ports"].push_back({{"name", "other"}, {"port", 81}, {"nodePort", 30080}});
  CHECK(says(left_alone(shared, all), "share nodePort 30080"));
  shared["spec"]["ports"][1]["port"] = 80;
  shared["spec"]["ports"][1]["protocol"] = "UDP";
  CHECK(left_alone(shared).empty());
}

TEST_CASE("trials_of_service ask for no node port, and then for each alone") {
  auto plain = web();
  plain["spec"]["ports"][0].erase("nodePort");
  CHECK(cni::trials_of_service(plain) == std::vector{cni::recreatable_service(plain)});
  auto service = web();
  service["spec"]["ports"].push_back({{"name", "tls"}, {"port", 443}, {"nodePort", 30443}});
  service["spec"]["healthCheckNodePort"] = 30999;
  auto trials = cni::trials_of_service(service);
  REQUIRE(trials.size() == 4);
  CHECK(cni::node_ports_of(trials[0]).empty());
  CHECK(cni::node_ports_of(trials[1]) == std::set<long>{30080});
  CHECK(cni::node_ports_of(trials[2]) == std::set<long>{30443});
  CHECK(cni::node_ports_of(trials[3]) == std::set<long>{30999});
}

TEST_CASE("Services that a flag or their name makes recreatable") {
  auto balancer = with("/spec/type", "LoadBalancer");
  CHECK(says(left_alone(balancer), "--allow-load-balancer"));
  CHECK(left_alone(balancer, {.load_balancer = true}).empty());
  auto owned = with("/metadata/ownerReferences", {{{"kind", "Shop"}, {"name", "s"}}});
  CHECK(says(left_alone(owned), "Shop/s"));
  CHECK(says(left_alone(owned), "--allow-owned"));
  CHECK(left_alone(owned, {.owned = true}).empty());
  auto held = with("/metadata/finalizers", {"example.com/hold"});
  CHECK(says(left_alone(held), "example.com/hold"));
  CHECK(says(left_alone(held), "--allow-finalizers"));
  CHECK(left_alone(held, {.finalizers = true}).empty());
  auto system = with("/metadata/namespace", "kube-system");
  CHECK(says(left_alone(system), "by name"));
  CHECK(left_alone(system, {.named = true}).empty());
}

TEST_CASE("marks of GitOps tools count as owners, Helm's does not") {
  auto managed = [](const char* by) {
    return with("/metadata/labels", {{"app.kubernetes.io/managed-by", by}});
  };
  CHECK(left_alone(managed("Helm")).empty());
  CHECK(says(left_alone(managed("shop-operator")), "shop-operator"));
  CHECK(says(left_alone(with("/metadata/annotations", {{"argocd.argoproj.io/tracking-id", "x"}})),
             "argocd"));
}

TEST_CASE("plan_services mentions default/kubernetes only to who named it") {
  auto api = web();
  api["metadata"]["name"] = "kubernetes";
  api["metadata"]["namespace"] = "default";
  auto bulk = cni::plan_services({web(), api}, {});
  CHECK(bulk.recreate.size() == 1);
  CHECK(bulk.left_alone.empty());
  CHECK(cni::plan_services({api}, {true, false, false}).left_alone.size() == 1);
}

TEST_CASE("judge_create tells what may be tried again") {
  using cni::CreateOutcome;
  auto judge = [](int status, const char* body) { return cni::judge_create(answer(status, body)); };
  CHECK(judge(201, "{}") == CreateOutcome::kMade);
  CHECK(judge(409, R"({"reason": "AlreadyExists"})") == CreateOutcome::kExists);
  CHECK(judge(409, R"({"reason": "Conflict"})") == CreateOutcome::kLater);
  CHECK(judge(422, R"({"details": {"causes": [
    {"message": "Invalid value: failed to allocate IP: provided IP is already allocated"}]}})") ==
        CreateOutcome::kTaken);
  CHECK(judge(422, R"({"details": {"causes": [{"message": "provided port is already allocated"},
    {"message": "Invalid value: something else"}]}})") == CreateOutcome::kNo);
  CHECK(judge(403, R"({"message": "exceeded quota: q"})") == CreateOutcome::kLater);
  CHECK(judge(403, R"({"message": "may not"})") == CreateOutcome::kNo);
  CHECK(judge(500, "{}") == CreateOutcome::kLater);
}

TEST_CASE("fits_after_delete: not where more than the limit is used already") {
  auto fits = [](const char* used, const char* limited) {
    return cni::fits_after_delete(
        fmt::format("services \"web\" is forbidden: exceeded quota: q, requested: services=1, "
                    "used: {}, limited: {}",
                    used, limited));
  };
  CHECK(fits("services=5", "services=5"));
  CHECK_FALSE(fits("services=5", "services=4"));
  CHECK_FALSE(
      fits("count/services=1,services.nodeports=3", "count/services=1,services.nodeports=2"));
  CHECK(fits("limits.memory=1200Mi", "limits.memory=1Gi"));  // not compared
  CHECK_FALSE(fits("limits.memory=1200Mi", "limits.memory=1100Mi"));
  CHECK(cni::fits_after_delete("exceeded quota"));
}

TEST_CASE("holder_of names who has the address or the port") {
  auto thief = web();
  thief["metadata"]["name"] = "thief";
  CHECK(cni::holder_of({web(), thief}, web()) ==
        "service/thief in namespace shop (clusterIP 10.96.0.12)");
  thief["spec"]["clusterIPs"] = {"10.96.0.99"};
  CHECK(cni::holder_of({thief}, web()) == "service/thief in namespace shop (nodePort 30080)");
  thief["spec"]["ports"][0].erase("nodePort");
  CHECK(cni::holder_of({web(), thief}, web()).empty());
}

TEST_CASE("why_broken sees endpoints that are not their pods'") {
  auto reason = [](std::vector<Json> pods, std::vector<Json> slices) {
    auto view = cni::make_endpoints_view(std::move(pods), std::move(slices));
    return cni::why_broken(web(), view).value_or("");
  };
  auto one = pod("a", "10.245.0.1");
  CHECK(reason({one}, {slice_of("a", "10.245.0.1")}).empty());
  CHECK(says(reason({one}, {slice_of("a", "10.244.0.1")}), "not an address of its pod"));
  CHECK(says(reason({one}, {slice_of("b", "10.244.0.1")}), "gone"));
  CHECK(says(reason({one}, {}), "no endpoint is ready although 1 pod is"));
  auto two = pod("b", "10.245.0.2");
  CHECK(says(reason({one, two}, {slice_of("a", "10.245.0.1")}),
             "pod b is ready, but no slice has its address 10.245.0.2 as ready"));
  CHECK(reason({}, {}).empty());
}

TEST_CASE("companions follow the new Service, and the control plane's own are none") {
  Json slice;
  slice["metadata"]["ownerReferences"] = Json::array({{{"uid", "u-1"}}});
  slice["metadata"]["resourceVersion"] = "7";
  auto fresh = cni::recreatable_companion(slice, "u-1", "u-2");
  CHECK(kube::text_at(fresh, "/metadata/ownerReferences/0/uid") == "u-2");
  CHECK_FALSE(fresh["metadata"].contains("resourceVersion"));
  CHECK(cni::written_by_hand(slice));
  slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] =
      "endpointslice-controller.k8s.io";
  CHECK_FALSE(cni::written_by_hand(slice));
}

TEST_CASE("first_difference ignores additions and order only when told to") {
  Json wanted = {{"list", {{{"name", "a"}}, {{"name", "b"}}}}};
  Json found = {{"list", {{{"name", "b"}}, {{"name", "a"}, {"more", 1}}}}, {"extra", 1}};
  CHECK(cni::first_difference(wanted, found, cni::Extra::kIgnored).empty());
  CHECK(cni::first_difference(wanted, found, cni::Extra::kDiffers) == "list[0].name");
}
