// A few threads for work that blocks: ssh sessions, one node each.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace kcni::ssh {

/// Runs every job, at most `workers` at once (at least one), and returns their results in the
/// order of the jobs when the last has ended. `on_end`, if given, is called as each one ends, in
/// the order of ending, from the workers' threads but never from two at once. A job tells of a
/// failure in its result; when one throws all the same, the others still run and the first
/// exception (in the order of the jobs) is thrown at the end. R needs a default constructor.
/// `on_idle` is called, never at the same time as on_end, whenever no job has ended for a second.
template <typename R>
std::vector<R> run_parallel(std::size_t workers, const std::vector<std::function<R()>>& jobs,
                            const std::function<void(std::size_t, const R&)>& on_end = {},
                            const std::function<void()>& on_idle = {}) {
  std::vector<R> results(jobs.size());
  std::vector<std::exception_ptr> errors(jobs.size());
  std::atomic<std::size_t> next{0};
  std::size_t ended = 0;
  std::mutex ending;
  std::condition_variable one_ended;
  auto finish = [&](std::size_t i, bool good) {
    std::lock_guard lock(ending);
    ++ended;
    one_ended.notify_one();
    if (good && on_end) on_end(i, results[i]);
  };
  auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      bool good = true;
      try {
        results[i] = jobs[i]();
      } catch (...) {
        errors[i] = std::current_exception();
        good = false;
      }
      finish(i, good);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < std::clamp<std::size_t>(workers, 1, jobs.size() + 1); ++i) {
      threads.emplace_back(work);
    }
    std::unique_lock lock(ending);
    while (ended < jobs.size()) {
      bool idle = one_ended.wait_for(lock, std::chrono::seconds(1)) == std::cv_status::timeout;
      if (idle && on_idle && ended < jobs.size()) on_idle();
    }
  }  // joins
  for (auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return results;
}

}  // namespace kcni::ssh
