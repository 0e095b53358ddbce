#include "common/kube/resource.h"

#include "tests/unit/catch.h"

using namespace kcni::kube;

TEST_CASE("resources are found as users type them") {
  struct Row {
    const char* word;
    const Resource* resource;
  };
  const std::vector<Row> rows{
      {"pod", &kPods},
      {"PODS", &kPods},
      {"po", &kPods},
      {"no", &kNodes},
      {"deploy", &kDeployments},
      {"Deployment", &kDeployments},
      {"deployments.apps", &kDeployments},
      {"deployment.apps", &kDeployments},
      {"sts", &kStatefulSets},
      {"ds", &kDaemonSets},
      {"rs", &kReplicaSets},
      {"rc", &kReplicationControllers},
      {"cronjob", &kCronJobs},
      {"jobs.batch", &kJobs},
      {"svc", &kServices},
      {"pdb", &kPodDisruptionBudgets},
      {"cj", &kCronJobs},
      {"endpointslice", &kEndpointSlices},
      {"deployments.extensions", nullptr},
      {"deployment.apps.v1", nullptr},
      {"pods.", nullptr},
      {"", nullptr},
      {"widget", nullptr},
  };
  for (const auto& row : rows) {
    CAPTURE(row.word);
    CHECK(find_resource(row.word) == row.resource);
  }
}

TEST_CASE("an object's own kind leads to its resource") {
  CHECK(resource_of("apps/v1", "DaemonSet") == &kDaemonSets);
  CHECK(resource_of("v1", "Pod") == &kPods);
  CHECK(resource_of("v1", "DaemonSet") == nullptr);
  CHECK(resource_of("apps/v1", "daemonset") == nullptr);
}

TEST_CASE("paths and names") {
  CHECK(kPods.api_version() == "v1");
  CHECK(kDeployments.api_version() == "apps/v1");
  CHECK(kPods.display("a") == "pod/a");
  CHECK(kDeployments.display("a") == "deployment.apps/a");
  CHECK(kPods.path("shop", "a") == "/api/v1/namespaces/shop/pods/a");
  CHECK(kPods.path("shop") == "/api/v1/namespaces/shop/pods");
  CHECK(kPods.path("") == "/api/v1/pods");
  CHECK(kNodes.path("shop", "w1") == "/api/v1/nodes/w1");
  CHECK(kDeployments.path("shop", "a") == "/apis/apps/v1/namespaces/shop/deployments/a");
  CHECK(kPods.path("a/b", "../x?y") == "/api/v1/namespaces/a%2Fb/pods/..%2Fx%3Fy");
}

TEST_CASE("escape keeps only what a path may hold") {
  CHECK(escape("aZ09-_.~") == "aZ09-_.~");
  CHECK(escape("a b/c=d,e\xc3\xbc") == "a%20b%2Fc%3Dd%2Ce%C3%BC");
  CHECK(escape("").empty());
}
