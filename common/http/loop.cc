#include "common/http/loop.h"

#include <algorithm>
#include <stdexcept>

#include "common/base/error.h"
#include "common/http/signals.h"

namespace kcni::http {

Waiter::Waiter(Loop& loop, Deadline deadline, OnInterrupt on_interrupt)
    : loop_(loop), deadline_(deadline), on_interrupt_(on_interrupt) {}

Waiter::~Waiter() {
  leave();
}

void Waiter::ready() {
  ready_ = true;
  if (awaiter_) loop_.schedule(*this);
}

void Waiter::await_suspend(std::coroutine_handle<> awaiter) {
  awaiter_ = awaiter;
  timed_out_ = false;
  loop_.waiting_.insert(this);
  if (loop_.interrupted_ && on_interrupt_ == OnInterrupt::kThrow) {
    interrupted_ = true;
    loop_.schedule(*this);
  } else if (auto when = deadline_.when()) {
    loop_.timers_.emplace(*when, this);
  }
}

Waiter::Outcome Waiter::await_resume() {
  leave();
  if (ready_) {
    ready_ = false;
    return Outcome::kReady;
  }
  if (interrupted_) throw Interrupted();
  return Outcome::kTimedOut;
}

void Waiter::leave() {
  awaiter_ = nullptr;
  loop_.waiting_.erase(this);
  std::erase_if(loop_.timers_, [this](const auto& entry) { return entry.second == this; });
  std::erase(loop_.scheduled_, this);
}

Loop::Loop() : multi_(curl_multi_init()) {
  if (!multi_) throw failed("curl_multi_init failed");
  signal_descriptor();
}

Loop::~Loop() {
  curl_multi_cleanup(multi_);
}

Task<> Loop::sleep(Milliseconds duration, OnInterrupt on_interrupt) {
  if (duration <= Milliseconds::zero()) co_return;
  Waiter waiter(*this, Deadline::after(duration), on_interrupt);
  co_await waiter;
}

void Loop::add(CURL* easy) {
  curl_multi_add_handle(multi_, easy);
}

void Loop::remove(CURL* easy) {
  curl_multi_remove_handle(multi_, easy);
}

void Loop::every(Milliseconds period, std::function<void()> tick) {
  period_ = period;
  tick_ = std::move(tick);
  next_tick_ = Clock::now() + period_;
}

void Loop::tick_if_due() {
  if (Clock::now() < next_tick_) return;
  next_tick_ = Clock::now() + period_;
  if (tick_) tick_();
}

void Loop::schedule(Waiter& waiter) {
  if (std::find(scheduled_.begin(), scheduled_.end(), &waiter) == scheduled_.end()) {
    scheduled_.push_back(&waiter);
  }
}

void Loop::turn() {
  int running = 0;
  curl_multi_perform(multi_, &running);
  finish_transfers();
  fire_timers();
  note_signals();
  tick_if_due();
  if (scheduled_.empty()) {
    wait_for_activity();
  } else {
    resume_scheduled();
  }
}

void Loop::resume_scheduled() {
  // One at a time from the front: whoever runs may take others off the list by ending them.
  while (!scheduled_.empty()) {
    Waiter* waiter = scheduled_.front();
    scheduled_.erase(scheduled_.begin());
    if (auto awaiter = std::exchange(waiter->awaiter_, nullptr)) awaiter.resume();
  }
}

void Loop::fire_timers() {
  auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Waiter* waiter = timers_.begin()->second;
    timers_.erase(timers_.begin());
    waiter->timed_out_ = true;
    schedule(*waiter);
  }
}

void Loop::finish_transfers() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* observer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &observer);
    static_cast<TransferObserver*>(observer)->transfer_done(message->data.result);
  }
}

void Loop::wait_for_activity() {
  auto next = timers_.empty() ? next_tick_ : std::min(timers_.begin()->first, next_tick_);
  auto left = std::chrono::ceil<Milliseconds>(next - Clock::now()).count();
  auto timeout_ms = static_cast<int>(std::max<long long>(left, 0));
  curl_waitfd signals = {signal_descriptor(), CURL_WAIT_POLLIN, 0};
  curl_multi_poll(multi_, &signals, 1, timeout_ms, nullptr);
}

void Loop::note_signals() {
  if (!take_signal()) return;
  interrupted_ = true;
  for (Waiter* waiter : waiting_) {
    if (waiter->on_interrupt_ == OnInterrupt::kGoOn || !waiter->awaiter_) continue;
    waiter->interrupted_ = true;
    schedule(*waiter);
  }
}

}  // namespace kcni::http
