#include "common/ssh/passphrases.h"

#include <fmt/format.h>
#include <libssh/libssh.h>
#include <string.h>  // explicit_bzero
#include <unistd.h>

#include <array>
#include <chrono>

namespace kcni::ssh {

namespace {

constexpr int kMaxAsked = 3;
constexpr std::chrono::milliseconds kSlice{100};

void wipe(std::string& text) {
  explicit_bzero(text.data(), text.size());
}

}  // namespace

Passphrases::~Passphrases() {
  for (auto& [key, known] : known_) {
    if (known.passphrase) wipe(*known.passphrase);
  }
}

std::optional<std::string> Passphrases::get(const std::string& key,
                                            const std::optional<std::string>& refused,
                                            const Patience& patience) {
  std::unique_lock lock(mutex_);
  auto& known = known_[key];
  // Another session may have been told of a better one meanwhile.
  bool stale = refused && known.passphrase == refused;
  if (stale) known.passphrase.reset();
  while (!known.passphrase && known.asked < kMaxAsked) {
    wanted_.insert(key);
    answered_.wait_for(lock, kSlice);
    lock.unlock();
    patience.check("waiting for a passphrase");
    lock.lock();
  }
  return known.passphrase;
}

void Passphrases::serve() {
  std::unique_lock lock(mutex_);
  while (!wanted_.empty()) {
    auto key = *wanted_.begin();
    bool again = known_[key].asked > 0;
    lock.unlock();
    auto answer = ask_(fmt::format("{}Passphrase for {}: ", again ? "Not it. " : "", key));
    lock.lock();
    auto& known = known_[key];
    known.asked = answer ? known.asked + 1 : kMaxAsked;
    known.passphrase = std::move(answer);
    wanted_.erase(key);
    answered_.notify_all();
  }
}

std::optional<std::string> read_passphrase(const std::string& prompt) {
  if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) return std::nullopt;
  fmt::print(stderr, "{}", prompt);
  std::array<char, 1024> buffer{};
  int rc = ssh_getpass("", buffer.data(), buffer.size(), 0, 0);
  std::string text = buffer.data();
  explicit_bzero(buffer.data(), buffer.size());
  fmt::print(stderr, "\n");
  if (rc != 0 || text.empty()) return std::nullopt;
  return text;
}

}  // namespace kcni::ssh
