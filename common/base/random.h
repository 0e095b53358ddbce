// Words that nobody else has chosen.
#pragma once

#include <string>

namespace kcni {

/// 16 hexadecimal digits, from the system's random numbers.
std::string random_word();

}  // namespace kcni
