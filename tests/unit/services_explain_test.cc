// What is wrong with a Service, rung by rung from the cheapest cure to the dearest.
#include "common/cni/services_explain.h"

#include "common/base/time.h"
#include "common/cni/services_endpoints.h"
#include "tests/unit/catch.h"

namespace {

using namespace kcni;
using kube::Json;

Json service(const char* protocol = "TCP") {
  Json service = Json::parse(R"({"metadata": {"name": "web", "namespace": "shop", "uid": "s-1"},
    "spec": {"selector": {"app": "web"}, "ipFamilies": ["IPv4"], "ports": [{"port": 80}]}})");
  service["spec"]["ports"][0]["protocol"] = protocol;
  return service;
}

Json pod(const char* name, const char* address, const char* node = "w1") {
  Json pod = Json::parse(R"({"metadata": {"namespace": "shop", "labels": {"app": "web"}},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})");
  pod["metadata"]["name"] = name;
  pod["metadata"]["uid"] = std::string("p-") + name;
  pod["spec"]["nodeName"] = node;
  pod["status"]["podIP"] = address;
  pod["status"]["podIPs"] = Json::array({{{"ip", address}}});
  return pod;
}

Json slice(const char* address, const std::string& written = "2026-01-01T00:00:00Z") {
  Json slice = Json::parse(R"({"metadata": {"name": "web-x", "namespace": "shop", "labels": {
    "kubernetes.io/service-name": "web",
    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}}})");
  slice["metadata"]["creationTimestamp"] = written;
  slice["endpoints"] = Json::array({{{"addresses", {address}}, {"conditions", {{"ready", true}}}}});
  return slice;
}

cni::ServicesView view(std::vector<Json> pods, std::vector<Json> slices) {
  cni::ServicesView view;
  view.endpoints = cni::make_endpoints_view(std::move(pods), std::move(slices));
  view.network =
      cni::parse_net_conf(R"({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}})");
  view.has_cilium = true;
  return view;
}

std::string cure(const Json& service, const cni::ServicesView& view) {
  auto findings = cni::explain(service, view);
  return findings.empty() ? "" : findings.front().cure;
}

}  // namespace

TEST_CASE("explain: nothing is wrong") {
  CHECK(cure(service(), view({pod("a", "10.245.0.1")}, {slice("10.245.0.1")})).empty());
}

TEST_CASE("explain: a pod with an address of flannel where flannel is gone") {
  auto old = view({pod("a", "10.244.0.1")}, {slice("10.244.0.1")});
  CHECK(cure(service(), old) == "kubectl cni evict --recycle w1");
  old.on_flannel.insert("w1");
  CHECK(cure(service(), old).empty());
  old.on_flannel.clear();
  old.has_cilium = false;  // an embedded flannel has no pods
  CHECK(cure(service(), old).empty());
}

TEST_CASE("explain: what flannel left on nodes") {
  auto marked = view({pod("a", "10.245.0.1")}, {slice("10.245.0.1")});
  marked.marked = {"w2", "w3"};
  CHECK(cure(service(), marked) == "kubectl cni cleanup w2 w3");
}

TEST_CASE("explain: UDP flows to pods that were there a moment ago") {
  auto moved = slice("10.245.0.1");
  moved["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] =
      now_rfc3339();
  auto changed = view({pod("a", "10.245.0.1")}, {moved});
  CHECK(cure(service("UDP"), changed) == "kubectl cni cleanup --only conntrack --all");
  CHECK(cure(service("TCP"), changed).empty());
}

TEST_CASE("explain: a kube-proxy that is not to be trusted") {
  auto stale = view({pod("a", "10.245.0.1")}, {slice("10.245.0.1")});
  stale.stale_proxy["w2"] = {"kube-proxy-x", "is not Ready, so its rules may be stale"};
  CHECK(cure(service(), stale) == "kubectl -n kube-system delete pod kube-proxy-x");
}

TEST_CASE("explain: wrong slices are rewritten first, then the Service is recreated") {
  std::vector<Json> pods{pod("a", "10.245.0.1"), pod("b", "10.245.0.2")};
  CHECK(cure(service(), view(pods, {slice("10.245.0.1")})) ==
        "kubectl cni svc-recreate web -n shop --endpoints-only");
  CHECK(cure(service(), view(pods, {slice("10.245.0.1", now_rfc3339())})) ==
        "kubectl cni svc-recreate web -n shop");
  CHECK(cure(service(), view(pods, {})) == "kubectl cni svc-recreate web -n shop");
}

TEST_CASE("explain: no pod is there, or none is Ready") {
  CHECK(cure(service(), view({}, {})) == "kubectl get pods -n shop -l app=web");
  auto unready = pod("a", "10.245.0.1");
  unready["status"]["conditions"][0]["status"] = "False";
  auto findings = cni::explain(service(), view({unready}, {}));
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].what == "none of its 1 pod is Ready");
}

TEST_CASE("explain: the cheapest cure comes first") {
  auto both = view({pod("a", "10.244.0.1"), pod("b", "10.245.0.2")}, {slice("10.244.0.1")});
  both.marked = {"w1"};
  auto findings = cni::explain(service(), both);
  REQUIRE(findings.size() == 3);
  CHECK(findings[0].cure == "kubectl cni evict --recycle w1");
  CHECK(findings[1].cure == "kubectl cni cleanup w1");
  CHECK(findings[2].cure == "kubectl cni svc-recreate web -n shop --endpoints-only");
}

TEST_CASE("ready_addresses counts an address once, and none of the Service that is gone") {
  auto old = slice("10.245.0.1");
  old["metadata"]["ownerReferences"] = Json::array({{{"uid", "s-0"}}});
  CHECK(cni::ready_addresses({slice("10.245.0.1"), slice("10.245.0.1")}) == 1);
  CHECK(cni::ready_addresses({old}) == 1);
  CHECK(cni::ready_addresses({old}, "s-0") == 0);
}

TEST_CASE("ready_addresses_of_pods counts what the control plane is going to write") {
  auto unready = pod("b", "10.245.0.2");
  unready["status"]["conditions"][0]["status"] = "False";
  auto both = std::vector<Json>{pod("a", "10.245.0.1"), unready};
  CHECK(cni::ready_addresses_of_pods(service(), both) == 1);
  auto all = service();
  all["spec"]["publishNotReadyAddresses"] = true;
  CHECK(cni::ready_addresses_of_pods(all, both) == 2);
  CHECK(cni::ready_addresses_of_pods(service(), {pod("c", "fd00::1")}) == 0);
}
