#include "common/base/bounded.h"

#include <algorithm>
#include <vector>

namespace kcni {

namespace {

Task<> run_next(std::size_t& next, std::size_t count,
                const std::function<Task<>(std::size_t)>& make) {
  while (next < count) {
    std::size_t mine = next++;
    co_await make(mine);
  }
}

}  // namespace

Task<> at_most(std::size_t limit, std::size_t count, std::function<Task<>(std::size_t)> make) {
  std::size_t next = 0;
  std::size_t at_once = limit == 0 ? count : std::min(limit, count);
  std::vector<Task<>> workers;
  workers.reserve(at_once);
  for (std::size_t i = 0; i < at_once; ++i) workers.push_back(run_next(next, count, make));
  co_await all(std::move(workers));
}

}  // namespace kcni
