// Where things end in YAML text: yaml-cpp only tells where they begin.
#pragma once

#include <string_view>

namespace kcni::cni {

/// The end of the quoted or plain one-line scalar at begin, without blanks or a comment after it.
/// flow: it is inside of brackets, where a comma ends it too.
std::size_t scalar_end(std::string_view text, std::size_t begin, bool flow);

/// The end of the key at begin: where its colon is.
std::size_t key_end(std::string_view text, std::size_t begin);

/// Past the closing bracket of the flow map or sequence at begin.
std::size_t flow_end(std::string_view text, std::size_t begin);

std::size_t line_start(std::string_view text, std::size_t at);

/// Past the line's end, "\n" or "\r\n" included.
std::size_t line_end(std::string_view text, std::size_t at);

/// The first position from `at` on that holds no blank (and no end of line).
std::size_t skip_space(std::string_view text, std::size_t at);

}  // namespace kcni::cni
