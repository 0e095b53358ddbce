#include "common/cni/backup.h"

#include "common/base/base64.h"
#include "common/cni/names.h"
#include "tests/unit/catch.h"

using namespace kcni;
using kube::Json;

namespace {

Json service(const std::string& name) {
  Json object;
  object["metadata"] = {{"name", name}, {"namespace", "shop"}, {"uid", "u-1"}};
  object["spec"]["clusterIP"] = "10.96.0.12";
  return object;
}

}  // namespace

TEST_CASE("backup_name is the object's own while that is short enough") {
  CHECK(cni::backup_name(kube::kServices, "web") == "kubectl-cni-backup-service-web");
  CHECK(cni::backup_name(kube::kPods, "web") == "kubectl-cni-backup-pod-web");
}

TEST_CASE("backup_name shortens long names, each to one of its own") {
  std::string name(252, 'a');
  auto one = cni::backup_name(kube::kPods, name + "b");
  auto other = cni::backup_name(kube::kPods, name + "c");
  CHECK(one.size() <= 253);
  CHECK(one != other);
  CHECK(one == cni::backup_name(kube::kPods, name + "b"));
}

TEST_CASE("backup_name never has a dot before the hash's dash") {
  std::string name(213, 'a');
  auto shortened = cni::backup_name(kube::kPods, name + std::string(39, '.') + "z");
  CHECK(shortened.find(".-") == std::string::npos);
  CHECK(shortened.size() <= 253);
}

TEST_CASE("a backup read again is what was saved") {
  Json slice = {{"kind", "EndpointSlice"}, {"metadata", {{"name", "web-1"}}}};
  auto secret = cni::backup_secret(kube::kServices, service("web"), {slice});
  secret["metadata"]["uid"] = "s-1";
  CHECK(kube::label_of(secret, cni::kBackupLabel) == "true");
  CHECK(kube::annotation_of(secret, cni::kBackupUidAnnotation) == "u-1");
  auto backup = cni::read_backup(secret);
  CHECK(backup.object["spec"] == service("web")["spec"]);
  CHECK(backup.object["kind"] == "Service");
  REQUIRE(backup.companions.size() == 1);
  CHECK(backup.companions[0] == slice);
  CHECK(backup.secret.uid == "s-1");
  CHECK(backup.secret.display() == "secret/kubectl-cni-backup-service-web in namespace shop");
}

TEST_CASE("what is no backup of ours is not taken for one") {
  auto secret = cni::backup_secret(kube::kServices, service("web"), {});
  SECTION("under another name") {
    secret["metadata"]["name"] = "kubectl-cni-backup-service-db";
  }
  SECTION("with an object of another namespace") {
    secret["metadata"]["namespace"] = "bank";
  }
  SECTION("with data that is no JSON") {
    secret["data"]["object.json"] = base64_encode("{");
  }
  SECTION("with data that is no base64") {
    secret["data"]["object.json"] = "%";
  }
  SECTION("without data") {
    secret.erase("data");
  }
  CHECK_THROWS_AS(cni::read_backup(secret), Error);
}
