#include "common/base/duration.h"

#include "common/base/error.h"
#include "tests/unit/catch.h"

using kcni::parse_duration;
using kcni::show_duration;
using std::chrono::milliseconds;

TEST_CASE("durations are read as kubectl reads them") {
  struct Row {
    const char* text;
    long milliseconds;
  };
  const std::vector<Row> rows{
      {"0", 0},
      {"0s", 0},
      {"45", 45000},
      {"1.5", 1500},
      {"30s", 30000},
      {"5m", 300000},
      {"1h30m", 5400000},
      {"1.5h", 5400000},
      {"300ms", 300},
      {"1m0.5s", 60500},
      {".5s", 500},
      {"5.s", 5000},
      {"0.29s", 290},
      {"1.1s", 1100},
      {"2m300ms", 120300},
      {"1000us", 1},
      {"2000000ns", 2},
      {"3000\u00b5s", 3},
      {"87600h", 315360000000},
      {"0.1ms", 1},
      {"1ns", 1},
      {"0h0m0s", 0},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_duration("--timeout", row.text) == milliseconds(row.milliseconds));
  }
}

TEST_CASE("what is no duration is wrong usage that names the flag") {
  for (const auto* text : {"",
                           "x",
                           "s",
                           "5x",
                           "5 m",
                           " 5m",
                           "5m ",
                           "-5s",
                           "+5s",
                           "5m30",
                           "1e3s",
                           "1,5s",
                           "nan",
                           "inf",
                           "infs",
                           "nans",
                           "0x10s",
                           "5mm",
                           "99999999999999999999h",
                           "1000000000h",
                           "5d"}) {
    CAPTURE(text);
    try {
      parse_duration("--timeout", text);
      FAIL_CHECK("no error");
    } catch (const kcni::Error& error) {
      CHECK(error.status() == kcni::ExitStatus::kUsage);
      CHECK(std::string(error.what()) ==
            std::string("invalid value \"") + text +
                "\" for --timeout: want a duration such as 30s, 5m or 1h30m; 0 means no limit");
    }
  }
}

TEST_CASE("durations are shown short") {
  struct Row {
    long milliseconds;
    const char* text;
  };
  const std::vector<Row> rows{{0, "0s"},           {499, "0s"},        {500, "1s"},
                              {59499, "59s"},      {59500, "1m00s"},   {65000, "1m05s"},
                              {3599499, "59m59s"}, {3599500, "1h00m"}, {7380000, "2h03m"}};
  for (const auto& row : rows) CHECK(show_duration(milliseconds(row.milliseconds)) == row.text);
}
