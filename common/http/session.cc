#include "common/http/session.h"

#include <algorithm>

namespace kcni::http {

Task<> Gate::enter(Deadline deadline, OnInterrupt on_interrupt) {
  if (free_ > 0) {
    --free_;
    co_return;
  }
  Waiter waiter(loop_, deadline, on_interrupt);
  queue_.push_back(&waiter);
  struct LeaveQueue {
    std::deque<Waiter*>& queue;
    Waiter* waiter;
    ~LeaveQueue() { std::erase(queue, waiter); }
  } leave_queue{queue_, &waiter};
  auto outcome = co_await waiter;
  if (outcome == Waiter::Outcome::kReady) co_return;  // leave() gave its place to us
  throw TimedOut("timed out before the request could be sent");
}

void Gate::leave() {
  if (queue_.empty()) {
    ++free_;
    return;
  }
  Waiter* next = queue_.front();
  queue_.pop_front();
  next->ready();
}

Task<Response> Session::send(Request request) {
  co_await gate_.enter(request.deadline, request.on_interrupt);
  struct Leave {
    Gate& gate;
    ~Leave() { gate.leave(); }
  } leave{gate_};
  Transfer transfer(loop_, endpoint_, std::move(request), Transfer::Mode::kWhole);
  co_await transfer.finish();
  co_return transfer.take_response();
}

std::unique_ptr<Transfer> Session::open(Request request) {
  return std::make_unique<Transfer>(loop_, endpoint_, std::move(request), Transfer::Mode::kLines);
}

}  // namespace kcni::http
