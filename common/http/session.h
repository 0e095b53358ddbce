// Requests to one server, a bounded number at a time.
#pragma once

#include <deque>
#include <memory>

#include "common/http/endpoint.h"
#include "common/http/request.h"
#include "common/http/transfer.h"

namespace kcni::http {

/// Lets so many in at once; the rest wait in order. Streams do not count: they last.
class Gate {
 public:
  Gate(Loop& loop, int places) : loop_(loop), free_(places) {}

  /// Throws TimedOut, Interrupted. Every enter() that returned needs a leave().
  Task<> enter(Deadline deadline, OnInterrupt on_interrupt);
  void leave();

 private:
  Loop& loop_;
  int free_;
  std::deque<Waiter*> queue_;
};

class Session {
 public:
  /// The loop outlives the session. 16 in flight reach what an API server can take; more only
  /// lengthens its queue.
  Session(Loop& loop, Endpoint endpoint, int max_in_flight = 16)
      : loop_(loop), endpoint_(std::move(endpoint)), gate_(loop, max_in_flight) {}

  /// One request, one answer, whatever its status. Throws TransportError, TimedOut, Interrupted.
  Task<Response> send(Request request);

  /// A streamed answer.
  std::unique_ptr<Transfer> open(Request request);

  Loop& loop() { return loop_; }
  Endpoint& endpoint() { return endpoint_; }

 private:
  Loop& loop_;
  Endpoint endpoint_;
  Gate gate_;
};

}  // namespace kcni::http
