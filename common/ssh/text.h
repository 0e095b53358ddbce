// What nodes and ssh servers said, made fit for a message.
#pragma once

#include <string>
#include <string_view>

namespace kcni::ssh {

/// One printable line: each run of blanks and newlines is one space, the ends are trimmed, control
/// characters are escaped.
std::string one_line(std::string_view text);

/// The last line that is not blank, as one_line(): what a failed program complained about.
std::string last_line(std::string_view text);

}  // namespace kcni::ssh
