#include "common/base/text.h"

#include "tests/unit/catch.h"

using namespace kcni;
using Words = std::vector<std::string>;

TEST_CASE("printable makes one harmless line") {
  struct Row {
    std::string text, shown;
  };
  const std::vector<Row> rows{
      {"", ""},
      {"plain", "plain"},
      {"two\nlines\r\n", "two lines"},
      {"a\tb", "a b"},
      {"\x1b[31mred", "\\x1b[31mred"},
      {"over\rwritten", "over written"},
      {std::string("nul\0!", 5), "nul\\x00!"},
      {"del\x7f", "del\\x7f"},
      {"bell\a\b", "bell\\x07\\x08"},
      {"csi \u009b31m", "csi \\u009b31m"},
      {"gr\u00fc\u00dfe \U0001F600 \u00a0|", "gr\u00fc\u00dfe \U0001F600 \u00a0|"},
      {"cut \xc2", "cut \xc2"},
      {"  trimmed \n", "trimmed"},
  };
  for (const auto& row : rows) CHECK(printable(row.text) == row.shown);
}

TEST_CASE("split leaves empty parts out") {
  CHECK(split("", ',').empty());
  CHECK(split(",", ',').empty());
  CHECK(split("a", ',') == Words{"a"});
  CHECK(split("a,b", ',') == Words{"a", "b"});
  CHECK(split(",a,,b,", ',') == Words{"a", "b"});
  CHECK(split("a b,c", ' ') == Words{"a", "b,c"});
}

TEST_CASE("join, trim, count_of") {
  CHECK(join({}, ", ").empty());
  CHECK(join({"a"}, ", ") == "a");
  CHECK(join({"a", "", "b"}, ", ") == "a, , b");
  CHECK(trim("").empty());
  CHECK(trim(" \t\r\n").empty());
  CHECK(trim(" a b\n") == "a b");
  CHECK(count_of(0, "pod") == "0 pods");
  CHECK(count_of(1, "pod") == "1 pod");
  CHECK(count_of(2, "pod") == "2 pods");
}

TEST_CASE("some_of never lists them all when they are many") {
  CHECK(some_of({}).empty());
  CHECK(some_of({"a", "b", "c", "d", "e"}) == "a, b, c, d, e");
  CHECK(some_of({"a", "b", "c", "d", "e", "f"}) == "a, b, c, d, e and 1 more");
  CHECK(some_of({"a", "b", "c"}, 1) == "a and 2 more");
}
