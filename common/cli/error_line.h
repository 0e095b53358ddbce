// How an error looks to the user.
#pragma once

#include <exception>
#include <string>

namespace kcni::cli {

/// "error: …" or "Error from server (…): …", in one printable line.
std::string error_line(const std::exception& error);

}  // namespace kcni::cli
