// Small things with text that more than one folder needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kcni {

/// One safe line for a terminal: newlines, tabs and carriage returns become spaces; other control
/// characters (ESC, and C1's in UTF-8), with which a server or a node could paint the terminal,
/// become visible escapes. Trimmed.
std::string printable(std::string_view text);

/// The parts between separators; empty ones are left out.
std::vector<std::string> split(std::string_view text, char separator);

std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// Without white space at both ends.
std::string trim(std::string_view text);

/// ASCII letters in lower case.
std::string lower(std::string_view text);

/// "a, b, c and 4 more": never a screenful in one line.
std::string some_of(const std::vector<std::string>& names, std::size_t most = 5);

/// "1 pod", "2 pods".
std::string count_of(std::size_t count, std::string_view noun);

}  // namespace kcni
