// Coroutines for one thread: a Task runs when it is awaited, and all() awaits many at once.
//
// Why coroutines: each object's work (read, decide, write, wait) stays one readable function,
// while hundreds of them share one event loop and a few connections. Why our own: the standard
// library has no task type before C++26 and no packaged one fits curl's multi interface.
//
// Two rules for callers. Parameters of a coroutine are taken by value, or refer to something that
// outlives the whole run (the Client, the options): a coroutine outlives the call expression.
// A capturing lambda that is a coroutine must outlive its task; prefer named functions.
// And one because of GCC 12, which then makes coroutine frames too small under sanitizers: no
// co_await inside the condition of an if or a loop; give its result a name first.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace kcni {

namespace detail {

/// On its end a task resumes whoever awaits it, without growing the stack.
struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
    auto next = self.promise().continuation;
    return next ? next : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation;
  std::exception_ptr error;

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() { error = std::current_exception(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;

  void return_value(T result) { value.emplace(std::move(result)); }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  void return_void() const {}
  void take() const {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace detail

/// A lazily started coroutine with one awaiter. Destroying it unfinished destroys its frame.
template <typename T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : detail::Promise<T> {
    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const { return handle_.done(); }
  /// Runs it here up to its first wait. What ends without one goes on at once: handing over to it
  /// instead would grow the stack by each such task wherever the compiler makes no tail call (-Og).
  bool await_suspend(std::coroutine_handle<> awaiter) {
    handle_.resume();
    if (handle_.done()) return false;
    handle_.promise().continuation = awaiter;
    return true;
  }
  T await_resume() { return handle_.promise().take(); }

  /// For the loop and for all(): runs until the first wait, without an awaiter.
  void start() { handle_.resume(); }
  bool done() const { return handle_.done(); }
  T take() { return handle_.promise().take(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

/// Counts down as tasks end; the last one hands over to the awaiter.
class Latch {
 public:
  explicit Latch(std::size_t count) : count_(count + 1) {}

  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> awaiter) {
    awaiter_ = awaiter;
    return --count_ != 0;
  }
  void await_resume() const {}

  /// Awaited as a runner's last act. It never comes back from there: the awaiter may destroy the
  /// runner at once, which only a suspended coroutine survives.
  struct Arrival {
    Latch& latch;
    bool await_ready() const { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const {
      if (--latch.count_ == 0) return latch.awaiter_;
      return std::noop_coroutine();
    }
    void await_resume() const {}
  };
  Arrival arrive() { return Arrival{*this}; }

 private:
  std::size_t count_;
  std::coroutine_handle<> awaiter_;
};

template <typename T>
Task<> arrive_after(Task<T>& task, Latch& latch, std::optional<T>& value,
                    std::exception_ptr& error) {
  try {
    value.emplace(co_await task);
  } catch (...) {
    error = std::current_exception();
  }
  co_await latch.arrive();
}

inline Task<> arrive_after(Task<>& task, Latch& latch, std::exception_ptr& error) {
  try {
    co_await task;
  } catch (...) {
    error = std::current_exception();
  }
  co_await latch.arrive();
}

}  // namespace detail

/// Runs all tasks at once and returns their results in order when the last has ended. When some
/// threw, the first one's exception (in order) is thrown, after all have ended.
template <typename T>
Task<std::vector<T>> all(std::vector<Task<T>> tasks) {
  detail::Latch latch(tasks.size());
  std::vector<std::optional<T>> values(tasks.size());
  std::vector<std::exception_ptr> errors(tasks.size());
  std::vector<Task<>> runners;
  runners.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    runners.push_back(detail::arrive_after(tasks[i], latch, values[i], errors[i]));
    runners.back().start();
  }
  co_await latch;
  std::vector<T> results;
  results.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (errors[i]) std::rethrow_exception(errors[i]);
    results.push_back(std::move(*values[i]));
  }
  co_return results;
}

inline Task<> all(std::vector<Task<>> tasks) {
  detail::Latch latch(tasks.size());
  std::vector<std::exception_ptr> errors(tasks.size());
  std::vector<Task<>> runners;
  runners.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    runners.push_back(detail::arrive_after(tasks[i], latch, errors[i]));
    runners.back().start();
  }
  co_await latch;
  for (auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace kcni
