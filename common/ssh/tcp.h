// A TCP connection of our own for libssh to speak over: errors with their reason, every address of
// a name tried, and a deadline.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/fd.h"
#include "common/ssh/patience.h"

namespace kcni::ssh {

/// Returns a connected, non-blocking socket. Throws Error, its message begun with `whom`. The name
/// look-up itself blocks as long as the system's resolver does.
Fd connect_tcp(const std::string& whom, const std::string& host, std::uint16_t port,
               const Patience& patience);

}  // namespace kcni::ssh
