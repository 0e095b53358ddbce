#include "common/kube/json.h"

#include "tests/unit/catch.h"

using namespace kcni::kube;

namespace {

const Json kPod = Json::parse(R"({
  "metadata": {"name": "web-1", "namespace": "shop", "uid": "u1", "deletionTimestamp": "now",
    "labels": {"app.kubernetes.io/name": "web", "empty": "", "number": 1},
    "annotations": {"a/b": "c"},
    "ownerReferences": [{"name": "x"}, {"name": "y", "controller": false},
                        {"name": "z", "controller": true}]},
  "spec": {"nodeName": "w1", "hostNetwork": true, "priority": -7, "weight": 1.5,
           "containers": [{"name": "a"}, {"name": "b"}]}})");

}  // namespace

TEST_CASE("at finds what is there and null for what is not") {
  CHECK(at(kPod, "") == kPod);
  CHECK(at(kPod, "/spec/nodeName") == "w1");
  CHECK(at(kPod, "/spec/containers/1/name") == "b");
  for (const auto* pointer : {"/spec/nothing", "/spec/nodeName/deeper", "/spec/containers/2",
                              "/spec/containers/-1", "/spec/containers/x", "/spec/containers/1x",
                              "/", "/metadata/labels/app.kubernetes.io/name"}) {
    CAPTURE(pointer);
    CHECK(at(kPod, pointer).is_null());
  }
  CHECK(at(Json(), "/a").is_null());
}

TEST_CASE("values of another type count as missing") {
  CHECK(text_at(kPod, "/spec/nodeName") == "w1");
  CHECK(text_at(kPod, "/spec/priority") == "");
  CHECK(text_at(kPod, "/spec/nothing", "else") == "else");
  CHECK(number_at(kPod, "/spec/priority") == -7);
  CHECK(number_at(kPod, "/spec/weight", 3) == 3);
  CHECK(number_at(kPod, "/spec/nodeName", 3) == 3);
  CHECK(flag_at(kPod, "/spec/hostNetwork"));
  CHECK_FALSE(flag_at(kPod, "/spec/nodeName"));
  CHECK_FALSE(flag_at(kPod, "/spec/hostPID"));
}

TEST_CASE("labels and annotations whose keys have slashes") {
  CHECK(label_of(kPod, "app.kubernetes.io/name") == "web");
  CHECK(label_of(kPod, "none", "else") == "else");
  CHECK(label_of(kPod, "number", "else") == "else");
  CHECK(label_of(kPod, "empty", "else") == "");
  CHECK(annotation_of(kPod, "a/b") == "c");
  CHECK(has_label(kPod, "empty"));
  CHECK_FALSE(has_label(kPod, "a/b"));
  CHECK_FALSE(has_label(Json::object(), "a"));
}

TEST_CASE("an object's name, namespace, key, owner") {
  CHECK(name_of(kPod) == "web-1");
  CHECK(namespace_of(kPod) == "shop");
  CHECK(uid_of(kPod) == "u1");
  CHECK(key_of(kPod) == "shop/web-1");
  CHECK(key_of({{"metadata", {{"name", "w1"}}}}) == "w1");
  CHECK(controller_of(kPod)["name"] == "z");
  CHECK(controller_of({{"metadata", {{"ownerReferences", "odd"}}}}).is_null());
  CHECK(controller_of(Json()).is_null());
  CHECK(terminating(kPod));
  CHECK_FALSE(terminating(Json::object()));
}
