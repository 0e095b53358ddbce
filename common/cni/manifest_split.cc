#include "common/cni/manifest_split.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>

namespace kcni::cni {

namespace {

constexpr std::string_view kBlank = " \t\r\n";

/// "---" or "..." with nothing joined to it. Such a line at column 0 is never part of a scalar.
bool is_marker(std::string_view line, std::string_view marker) {
  return line.starts_with(marker) &&
         (line.size() == marker.size() || kBlank.find(line[marker.size()]) != kBlank.npos);
}

/// Where the JSON value that starts at `begin` ends, or nullopt when it is none.
std::optional<std::size_t> json_end(std::istringstream& stream, std::size_t begin) {
  stream.clear();
  stream.seekg(static_cast<std::streamoff>(begin));
  nlohmann::json value;
  try {
    stream >> value;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
  const auto end = stream.tellg();
  if (end < 0) return std::nullopt;
  return static_cast<std::size_t>(end);
}

/// The JSON values of a text, each with the white space before it; empty when anything else is in
/// it.
std::vector<Document> split_json(std::string_view text) {
  auto next = leading_size(text);
  if (next == text.size() || text[next] != '{') return {};
  std::istringstream stream{std::string(text)};
  std::vector<Document> values;
  std::size_t begin = 0;
  while (next != text.npos && next < text.size()) {
    const auto end = json_end(stream, next);
    if (!end) return {};
    next = text.find_first_not_of(kBlank, *end);
    const auto stop = next == text.npos ? text.size() : *end;
    values.push_back({text.substr(begin, stop - begin), true});
    begin = *end;
  }
  return values;
}

void add_document(std::vector<Document>& documents, std::string_view text) {
  if (text.empty()) return;
  const auto values = split_json(text);
  if (values.empty()) documents.push_back({text, false});
  documents.insert(documents.end(), values.begin(), values.end());
}

}  // namespace

std::string_view line_at(std::string_view text, std::size_t begin) {
  const auto end = text.find('\n', begin);
  return text.substr(begin, end == text.npos ? text.npos : end + 1 - begin);
}

std::size_t leading_size(std::string_view document) {
  std::size_t at = 0;
  while (at < document.size()) {
    const auto line = line_at(document, at);
    const auto first = line.find_first_not_of(kBlank);
    const bool marker = is_marker(line, "---") &&
                        (line.find_first_not_of(kBlank, 3) == line.npos || line.find('#') < 5);
    if (first != line.npos && line[first] != '#' && !marker) {
      // White space before JSON belongs to what leads up to it.
      return line[first] == '{' ? at + first : at;
    }
    at += line.size();
  }
  return at;
}

std::vector<Document> split_documents(std::string_view manifest) {
  std::vector<Document> documents;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < manifest.size();) {
    const auto line = line_at(manifest, at);
    if (is_marker(line, "---")) {
      add_document(documents, manifest.substr(begin, at - begin));
      begin = at;
    }
    at += line.size();
    if (is_marker(line, "...")) {
      add_document(documents, manifest.substr(begin, at - begin));
      begin = at;
    }
  }
  add_document(documents, manifest.substr(begin));
  return documents;
}

}  // namespace kcni::cni
