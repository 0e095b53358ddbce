#include "common/ssh/text.h"

#include "common/base/text.h"

namespace kcni::ssh {

namespace {

constexpr std::string_view kBlanks = " \n\r\t";

}  // namespace

std::string one_line(std::string_view text) {
  std::string line;
  for (char c : text) {
    bool blank = kBlanks.find(c) != std::string_view::npos;
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (line.ends_with(' ')) line.pop_back();
  return printable(line);
}

std::string last_line(std::string_view text) {
  auto end = text.find_last_not_of(kBlanks);
  if (end == std::string_view::npos) return "";
  text = text.substr(0, end + 1);
  auto newline = text.find_last_of('\n');
  return one_line(newline == std::string_view::npos ? text : text.substr(newline + 1));
}

}  // namespace kcni::ssh
