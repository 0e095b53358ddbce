// "did you mean": the word that was meant by a misspelt one.
#pragma once

#include <string>
#include <vector>

namespace kcni::cli {

/// The candidate that at most two letters put in, left out or changed make of the wrong word; the
/// nearest, the first of equals. "" when there is none.
std::string nearest_word(const std::string& wrong, const std::vector<std::string>& candidates);

}  // namespace kcni::cli
