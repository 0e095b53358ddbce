#include "plugins/cleanup/rows.h"

#include <fmt/format.h>

#include <chrono>

namespace kcni::cleanup {

namespace {

constexpr std::chrono::seconds kQuiet{5};
constexpr const char* kTotal = "~";  // below all nodes

}  // namespace

void Rows::set(const std::string& node, const std::string& state) {
  std::lock_guard lock(mutex_);
  auto [row, is_new] = rows_.try_emplace(node);
  if (is_new) row->second.since = Clock::now();
  row->second.state = state;
}

void Rows::done(const std::string& node) {
  std::lock_guard lock(mutex_);
  rows_.erase(node);
  ++ended_;
  context_.live().assign({});
}

// A terminal may be slow to take it, which is no reason for the visits to wait.
void Rows::draw() {
  std::unique_lock lock(mutex_);
  auto rows = rows_;
  lock.unlock();
  std::map<std::string, std::string> lines;
  for (const auto& [node, row] : rows) {
    lines[node] = fmt::format("node/{} {}", node, row.state);
    if (!context_.live().on_terminal() && Clock::now() - row.since > kQuiet) {
      context_.waiting(fmt::format("node/{}: {}", node, row.state));
    }
  }
  if (total_ > 1 && ended_ < total_) {
    lines[kTotal] = fmt::format("nodes {}", cli::bar(ended_, total_));
  }
  context_.live().assign(lines);
  context_.remind();
}

}  // namespace kcni::cleanup
