#include "common/ssh/passphrases.h"

#include <fmt/format.h>
#include <poll.h>
#include <string.h>  // explicit_bzero
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "common/base/error.h"

namespace kcni::ssh {

namespace {

constexpr int kMaxAsked = 3;
constexpr std::chrono::milliseconds kSlice{100};
constexpr const char* kDoing = "waiting for a passphrase";

/// A question on the terminal, whose answer is not shown.
class Prompt {
 public:
  explicit Prompt(const std::string& prompt) {
    tcgetattr(STDIN_FILENO, &before_);
    auto silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    // These would leave the terminal silent behind us.
    silent.c_cc[VQUIT] = silent.c_cc[VSUSP] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fmt::print(stderr, "{}", prompt);
  }
  // Half a passphrase is not for the shell that reads next.
  ~Prompt() {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    fmt::print(stderr, "\n");
  }
  Prompt(const Prompt&) = delete;
  Prompt& operator=(const Prompt&) = delete;

 private:
  termios before_{};
};

}  // namespace

Passphrase make_passphrase(std::string_view text) {
  auto wipe = [](std::string* typed) {
    explicit_bzero(typed->data(), typed->size());
    delete typed;
  };
  return std::shared_ptr<std::string>(new std::string(text), wipe);
}

Passphrase Passphrases::get(const std::string& key, Passphrase wrong, const Patience& patience) {
  std::unique_lock lock(mutex_);
  auto& known = known_[key];
  // Another session may have been told of a better one meanwhile.
  if (wrong && known.passphrase == wrong) known.passphrase.reset();
  wrong.reset();
  for (;;) {
    patience.check(kDoing);
    if (known.passphrase || known.asked >= kMaxAsked) return known.passphrase;
    wanted_.insert_or_assign(key, patience);
    answered_.wait_for(lock, kSlice);
  }
}

void Passphrases::serve() {
  std::unique_lock lock(mutex_);
  while (!wanted_.empty()) {
    auto [key, patience] = *wanted_.begin();
    bool again = known_[key].asked > 0;
    lock.unlock();
    Passphrase answer;
    try {
      patience.check(kDoing);
      answer = ask_(fmt::format("{}Passphrase for {}: ", again ? "Not it. " : "", key));
    } catch (const Error&) {
      // Whoever waits for it finds the same.
    }
    lock.lock();
    auto& known = known_[key];
    known.asked = answer ? known.asked + 1 : kMaxAsked;
    known.passphrase = std::move(answer);
    wanted_.erase(key);
    answered_.notify_all();
  }
}

Passphrase read_passphrase(const std::string& prompt, Deadline deadline, StopFlag stop) {
  if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) return nullptr;
  Prompt asking(prompt);
  Patience patience("passphrase", deadline, stop);
  while (patience.wait(STDIN_FILENO, POLLIN, kDoing) == 0) {
  }
  std::array<char, 4096> line{};  // which a terminal hands over whole
  auto size = read(STDIN_FILENO, line.data(), line.size());
  std::string_view text(line.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
  if (text.ends_with('\n')) text.remove_suffix(1);
  auto answer = text.empty() ? nullptr : make_passphrase(text);
  explicit_bzero(line.data(), line.size());
  return answer;
}

}  // namespace kcni::ssh
