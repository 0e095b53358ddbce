// Many tasks, but only some of them at once.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "common/base/task.h"

namespace kcni {

namespace detail {

inline Task<> run_next(std::size_t& next, std::size_t count,
                       const std::function<Task<>(std::size_t)>& make) {
  while (next < count) {
    std::size_t mine = next++;
    co_await make(mine);
  }
}

}  // namespace detail

/// Awaits make(0) to make(count - 1), begun in this order, at most `limit` of them at once; 0: all.
/// What one throws is thrown when all that had begun have ended.
inline Task<> at_most(std::size_t limit, std::size_t count,
                      std::function<Task<>(std::size_t)> make) {
  std::size_t next = 0;
  std::size_t at_once = limit == 0 ? count : std::min(limit, count);
  std::vector<Task<>> workers;
  workers.reserve(at_once);
  for (std::size_t i = 0; i < at_once; ++i) {
    workers.push_back(detail::run_next(next, count, make));
  }
  co_await all(std::move(workers));
}

}  // namespace kcni
