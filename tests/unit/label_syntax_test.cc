#include "common/kube/label_syntax.h"

#include "common/base/error.h"
#include "tests/unit/catch.h"

using kcni::Error;
using kcni::kube::check_label_key;
using kcni::kube::check_label_value;

TEST_CASE("label keys") {
  for (const char* key : {"cni", "a", "x.y_z-1", "example.com/cni"}) {
    CHECK_NOTHROW(check_label_key("--key", key));
  }
  for (const char* key : {"", "-cni", "cni ", "a/b/c", "/cni", "Example.com/cni", "x/", "a\"b"}) {
    CHECK_THROWS_AS(check_label_key("--key", key), Error);
  }
  CHECK_THROWS_AS(check_label_key("--key", std::string(64, 'a')), Error);
}

TEST_CASE("label values") {
  CHECK_NOTHROW(check_label_value("--to", "flannel"));
  CHECK_NOTHROW(check_label_value("--to", std::string(63, 'a')));
  for (const char* value : {"", "a b", "a/b", "_a", "a."}) {
    CHECK_THROWS_AS(check_label_value("--to", value), Error);
  }
  CHECK_THROWS_AS(check_label_value("--to", std::string(64, 'a')), Error);
}
