#include "common/ssh/tcp.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "common/base/error.h"

namespace kcni::ssh {

namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(const std::string& whom, const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int rc = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (rc != 0) {
    throw failed(fmt::format("{}: cannot look up \"{}\": {}", whom, host, gai_strerror(rc)));
  }
  return {found, &freeaddrinfo};
}

// A peer that vanishes is noticed within half a minute, also in the middle of a long wait.
void notice_dead_peers(int fd) {
  int on = 1, idle = 10, interval = 5, count = 4;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Returns 0 or an errno.
int finish_connecting(int fd, const Patience& patience) {
  while ((patience.wait(fd, POLLOUT, "connecting") & (POLLOUT | POLLERR | POLLHUP)) == 0) {
  }
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

Fd connect_tcp(const std::string& whom, const std::string& host, std::uint16_t port,
               const Patience& patience) {
  auto addresses = resolve(whom, host, port);
  int error = 0;
  for (auto* address = addresses.get(); address; address = address->ai_next) {
    Fd socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    error = 0;
    if (!socket || connect(socket.get(), address->ai_addr, address->ai_addrlen) != 0) error = errno;
    if (error == EINPROGRESS) error = finish_connecting(socket.get(), patience);
    if (error == 0) {
      notice_dead_peers(socket.get());
      return socket;
    }
  }
  throw failed(fmt::format("{}: {}", whom, std::generic_category().message(error)));
}

}  // namespace kcni::ssh
