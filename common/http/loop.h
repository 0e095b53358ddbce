// The one event loop: every request, every watch and every timer of a command hangs on it.
#pragma once

#include <curl/curl.h>

#include <coroutine>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "common/base/deadline.h"
#include "common/base/task.h"

namespace kcni::http {

class Loop;

/// Whether Ctrl-C ends a wait. Shielded waits go on: they stand between a delete and the create
/// that must follow it.
enum class OnInterrupt { kThrow, kGoOn };

/// Awaited by a coroutine until ready() is called, the deadline passes or the user interrupts.
/// Lives in the awaiting coroutine's frame or in what it owns; one awaiter at a time.
class Waiter {
 public:
  enum class Outcome { kReady, kTimedOut };

  Waiter(Loop& loop, Deadline deadline, OnInterrupt on_interrupt);
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// The event came; the awaiter, if any, runs in the loop's next turn.
  void ready();

  bool await_ready() const { return ready_; }
  void await_suspend(std::coroutine_handle<> awaiter);
  /// Throws Interrupted. Afterwards the waiter may be awaited again.
  Outcome await_resume();

 private:
  friend class Loop;
  void leave();

  Loop& loop_;
  Deadline deadline_;
  OnInterrupt on_interrupt_;
  bool ready_ = false;
  bool interrupted_ = false;
  bool timed_out_ = false;
  std::coroutine_handle<> awaiter_;
};

/// Gets to know when a transfer on the loop's multi handle has ended.
class TransferObserver {
 public:
  virtual ~TransferObserver() = default;
  virtual void transfer_done(CURLcode result) = 0;
};

/// Owns the curl multi handle. Not thread-safe; one per command. While it runs, SIGINT and SIGTERM
/// interrupt the waits that may be given up; a second one ends the process with code 130.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until the task has ended and returns its result or throws its exception.
  template <typename T>
  T run(Task<T> task) {
    task.start();
    while (!task.done()) turn();
    return task.take();
  }

  /// co_await loop.sleep(…). Throws Interrupted unless shielded.
  Task<> sleep(Milliseconds duration, OnInterrupt on_interrupt = OnInterrupt::kThrow);

  /// Starts a transfer; the easy handle's CURLOPT_PRIVATE must be its TransferObserver.
  void add(CURL* easy);
  /// Ends it, whether it is done or not.
  void remove(CURL* easy);

  bool interrupted() const { return interrupted_; }

  /// Calls this again and again while the loop runs, also while nothing else happens. One at a
  /// time.
  void every(Milliseconds period, std::function<void()> tick);

 private:
  friend class Waiter;

  void turn();
  void resume_scheduled();
  void fire_timers();
  void finish_transfers();
  void wait_for_activity();
  void note_signals();
  void tick_if_due();
  void schedule(Waiter& waiter);

  CURLM* multi_;
  std::set<Waiter*> waiting_;
  std::multimap<Clock::time_point, Waiter*> timers_;
  std::vector<Waiter*> scheduled_;
  bool interrupted_ = false;
  Milliseconds period_{60'000};
  std::function<void()> tick_;
  Clock::time_point next_tick_ = Clock::now() + period_;
};

}  // namespace kcni::http
