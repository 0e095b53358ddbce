// A few threads for work that blocks: ssh sessions, one node each.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace kcni::ssh {

/// How long run_parallel() lets pass without calling on_idle.
inline constexpr std::chrono::milliseconds kIdle{200};

/// Runs every job, at most `workers` at once (at least one), and returns their results in the
/// order of the jobs when the last has ended. `on_end`, if given, is called in this thread as each
/// one has ended, in the order of ending; `on_idle` too, after these and every so often. A job
/// tells of a failure in its result; when one throws all the same, the others still run and the
/// first exception (in the order of the jobs) is thrown at the end; so is what on_end throws. R
/// needs a default constructor.
template <typename R>
std::vector<R> run_parallel(std::size_t workers, const std::vector<std::function<R()>>& jobs,
                            const std::function<void(std::size_t, const R&)>& on_end = {},
                            const std::function<void()>& on_idle = {}) {
  std::vector<R> results(jobs.size());
  std::vector<std::exception_ptr> errors(jobs.size());
  std::atomic<std::size_t> next{0};
  std::deque<std::size_t> ended;
  std::mutex ending;
  std::condition_variable one_ended;
  auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      try {
        results[i] = jobs[i]();
      } catch (...) {
        errors[i] = std::current_exception();
      }
      std::lock_guard lock(ending);
      ended.push_back(i);
      one_ended.notify_one();
    }
  };
  auto tell = [&](std::size_t i) {
    if (errors[i] || !on_end) return;
    try {
      on_end(i, results[i]);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < std::clamp<std::size_t>(workers, 1, jobs.size() + 1); ++i) {
      threads.emplace_back(work);
    }
    for (std::size_t told = 0; told < jobs.size();) {
      std::unique_lock lock(ending);
      one_ended.wait_for(lock, kIdle, [&] { return !ended.empty(); });
      auto now = std::exchange(ended, {});
      lock.unlock();
      for (std::size_t i : now) tell(i);
      told += now.size();
      if (on_idle) on_idle();
    }
  }  // joins
  for (auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return results;
}

}  // namespace kcni::ssh
