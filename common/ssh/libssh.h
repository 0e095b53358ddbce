// Between this library's own files: what its parts ask of libssh.
#pragma once

#include <libssh/libssh.h>
#include <poll.h>

#include <string>

#include "common/ssh/options.h"
#include "common/ssh/patience.h"

namespace kcni::ssh {

/// A copy of a text that libssh has allocated, which is freed; "" for null.
std::string take(char* text);

/// "" when the option is not set.
std::string option_of(ssh_session session, ssh_options_e which);

/// libssh's words for what went wrong, as one line.
std::string last_error(ssh_session session);

/// Sleeps until the session's socket has something, at most a moment.
void wait_io(ssh_session session, const Patience& patience, const std::string& doing);

/// Repeats a non-blocking call of libssh until it no longer answers "again".
template <typename Call>
int until_done(ssh_session session, const Patience& patience, int again, const std::string& doing,
               Call call) {
  for (;;) {
    int rc = call();
    if (rc != again) return rc;
    wait_io(session, patience, doing);
  }
}

/// Throws Error unless the server's key is in known_hosts, or was unknown and accept_new wrote it.
void verify_host_key(ssh_session session, const std::string& whom, bool accept_new);

/// Throws Error unless one of the keys opens the door within the connect_timeout, which does not
/// run while the user is asked for a passphrase.
void log_in(ssh_session session, const std::string& whom, const Options& options,
            const Patience& patience);

}  // namespace kcni::ssh
