#include "common/base/base64.h"

#include <string>

#include "tests/unit/catch.h"

namespace kcni {

TEST_CASE("base64 encodes and decodes the vectors of RFC 4648") {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [plain, encoded] : vectors) {
    CHECK(base64_encode(plain) == encoded);
    CHECK(base64_decode(encoded) == std::string(plain));
  }
}

TEST_CASE("base64 keeps every byte value") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  CHECK(base64_decode(base64_encode(bytes)) == bytes);
}

TEST_CASE("base64 skips white space and refuses everything else") {
  CHECK(base64_decode("Zm9v\n YmFy\r\n") == std::string("foobar"));
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "Zm9v=", "Zm9v!", "=", "Zg==Zg==", "Zm-_"}) {
    CAPTURE(bad);
    CHECK_FALSE(base64_decode(bad).has_value());
  }
}

}  // namespace kcni
