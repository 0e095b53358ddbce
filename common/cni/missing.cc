#include "common/cni/missing.h"

#include "common/base/text.h"

namespace kcni::cni {

bool Missing::update(std::size_t wait, std::vector<std::string> lines) {
  auto& own = by_wait_[wait];
  bool news = own != lines;
  own = std::move(lines);
  std::vector<std::string> all;
  for (const auto& [number, some] : by_wait_) all.insert(all.end(), some.begin(), some.end());
  if (news && !all.empty()) progress_(some_of(all, 3));
  return own.empty();
}

}  // namespace kcni::cni
