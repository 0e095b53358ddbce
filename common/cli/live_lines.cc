#include "common/cli/live_lines.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "common/base/text.h"

namespace kcni::cli {

namespace {

constexpr std::size_t kDefaultColumns = 80;
constexpr std::size_t kDefaultRows = 24;
constexpr std::size_t kBarWidth = 20;

// A character of several bytes is not cut in two.
std::string cut(std::string text, std::size_t columns) {
  if (text.size() < columns) return text;
  std::size_t end = columns - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

}  // namespace

std::size_t LiveLines::columns_of_stderr() {
  const char* kind = std::getenv("TERM");
  if (!isatty(STDERR_FILENO) || !kind || std::string(kind) == "dumb") return 0;
  winsize size{};
  bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kDefaultColumns;
}

std::size_t LiveLines::rows_of_stderr() {
  winsize size{};
  bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 3;
  return (known ? size.ws_row : kDefaultRows) - 2;
}

void LiveLines::set(const std::string& id, const std::string& text) {
  if (!on_terminal()) return;
  auto line = cut(printable(text), columns_);
  auto& current = lines_[id];
  if (current == line && drawn_ > 0) return;
  current = std::move(line);
  hide();
  show();
}

void LiveLines::drop(const std::string& id) {
  hide();
  lines_.erase(id);
  show();
}

void LiveLines::assign(const std::map<std::string, std::string>& texts) {
  if (!on_terminal()) return;
  std::map<std::string, std::string> lines;
  for (const auto& [id, text] : texts) lines[id] = cut(printable(text), columns_);
  if (lines == lines_ && (drawn_ > 0 || lines.empty())) return;
  hide();
  lines_ = std::move(lines);
  show();
}

void LiveLines::hide() {
  if (drawn_ == 0) return;
  out_ << fmt::format("\r\x1b[{}A\x1b[J", drawn_) << std::flush;
  drawn_ = 0;
}

void LiveLines::show() {
  if (drawn_ > 0 || lines_.empty()) return;
  // More than the screen holds could not be taken off it again. The last line sums up.
  auto most = std::max<std::size_t>(rows_, 3);
  auto before_last = lines_.size() - 1;
  auto first = lines_.size() > most ? most - 2 : before_last;
  auto line = lines_.begin();
  for (std::size_t i = 0; i < first; ++i, ++line) out_ << line->second << "\n";
  if (first < before_last) out_ << "and " << before_last - first << " more\n";
  out_ << lines_.rbegin()->second << "\n" << std::flush;
  drawn_ = std::min(lines_.size(), most);
}

std::string bar(std::size_t done, std::size_t total) {
  std::size_t full = total == 0 ? kBarWidth : std::min(kBarWidth, kBarWidth * done / total);
  return fmt::format("[{}{}] {}/{}", std::string(full, '#'), std::string(kBarWidth - full, '.'),
                     done, total);
}

}  // namespace kcni::cli
