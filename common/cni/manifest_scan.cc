#include "common/cni/manifest_scan.h"

#include <algorithm>

namespace kcni::cni {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::size_t or_size(std::size_t found, std::string_view text) {
  return std::min(found, text.size());
}

std::size_t double_quoted_end(std::string_view text, std::size_t begin) {
  for (auto at = begin + 1; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return text.size();
}

/// A quote inside is written twice, which reads as one string ending and the next beginning.
std::size_t single_quoted_end(std::string_view text, std::size_t begin) {
  auto end = begin;
  do {
    end = text.find('\'', end + 1);
    if (end == text.npos) return text.size();
    ++end;
  } while (end < text.size() && text[end] == '\'');
  return end;
}

bool ends_plain(std::string_view text, std::size_t at, bool flow) {
  const char c = text[at];
  if (c == '\n' || c == '\r') return true;
  if (flow && (c == ',' || c == '}' || c == ']')) return true;
  return c == '#' && at > 0 && kSpace.find(text[at - 1]) != kSpace.npos;
}

}  // namespace

std::size_t scalar_end(std::string_view text, std::size_t begin, bool flow) {
  if (begin >= text.size()) return text.size();
  if (text[begin] == '"') return double_quoted_end(text, begin);
  if (text[begin] == '\'') return single_quoted_end(text, begin);
  auto end = begin;
  while (end < text.size() && !ends_plain(text, end, flow)) ++end;
  while (end > begin && kSpace.find(text[end - 1]) != kSpace.npos) --end;
  return end;
}

std::size_t key_end(std::string_view text, std::size_t begin) {
  const bool quoted = begin < text.size() && (text[begin] == '"' || text[begin] == '\'');
  const auto at = quoted ? scalar_end(text, begin, false) : begin;
  return or_size(text.find(':', at), text);
}

std::size_t flow_end(std::string_view text, std::size_t begin) {
  int depth = 0;
  for (auto at = begin; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = scalar_end(text, at, true);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return at + 1;
    ++at;
  }
  return text.size();
}

std::size_t line_start(std::string_view text, std::size_t at) {
  const auto newline = at == 0 ? text.npos : text.rfind('\n', at - 1);
  return newline == text.npos ? 0 : newline + 1;
}

std::size_t line_end(std::string_view text, std::size_t at) {
  const auto newline = text.find('\n', at);
  return newline == text.npos ? text.size() : newline + 1;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  return or_size(text.find_first_not_of(kSpace, or_size(at, text)), text);
}

}  // namespace kcni::cni
