#include "common/base/random.h"

#include <fmt/format.h>

#include <random>

namespace kcni {

std::string random_word() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

}  // namespace kcni
