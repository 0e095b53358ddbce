// Many tasks, but only some of them at once.
#pragma once

#include <cstddef>
#include <functional>

#include "common/base/task.h"

namespace kcni {

/// Awaits make(0) to make(count - 1), begun in this order, at most `limit` of them at once; 0: all.
/// What one throws is thrown when all that had begun have ended.
Task<> at_most(std::size_t limit, std::size_t count, std::function<Task<>(std::size_t)> make);

}  // namespace kcni
