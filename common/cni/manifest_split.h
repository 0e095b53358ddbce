// A manifest's documents, as kubectl tells them apart, without a byte lost.
#pragma once

#include <string_view>
#include <vector>

namespace kcni::cni {

struct Document {
  std::string_view text;  ///< with its "---" line; all texts one after the other are the manifest
  bool json;              ///< one JSON value (which is YAML in flow style)
};

/// Splits at lines "---" and after lines "...", and between JSON values in a row. The views refer
/// to the manifest.
std::vector<Document> split_documents(std::string_view manifest);

/// How many bytes of a document are its "---" line, comments and blank lines at the start.
std::size_t leading_size(std::string_view document);

/// The line at a position, with its end of line.
std::string_view line_at(std::string_view text, std::size_t begin);

}  // namespace kcni::cni
