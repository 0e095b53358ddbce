// Asking for the passphrase of an encrypted key: once a run, however many nodes want the key.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/ssh/patience.h"

namespace kcni::ssh {

/// Sessions ask in their own threads and wait; the thread that owns the terminal answers in
/// serve(). Passphrases stay in memory until this object goes, and appear in no message.
class Passphrases {
 public:
  /// Returns what the user typed, or nothing when he gave up or cannot be asked.
  using Ask = std::function<std::optional<std::string>(const std::string& prompt)>;

  explicit Passphrases(Ask ask) : ask_(std::move(ask)) {}
  ~Passphrases();
  Passphrases(const Passphrases&) = delete;
  Passphrases& operator=(const Passphrases&) = delete;

  /// For a session: the passphrase of this key ("~/.ssh/id"), or nothing. `refused`: the one that
  /// was no good, so that the user is asked again, three times at the most. As long as it takes the
  /// user; throws as patience.check().
  std::optional<std::string> get(const std::string& key, const std::optional<std::string>& refused,
                                 const Patience& patience);

  /// For the thread that owns the terminal: asks for what is waited for.
  void serve();

 private:
  struct Known {
    std::optional<std::string> passphrase;
    int asked = 0;  ///< no more when the user gave up
  };

  Ask ask_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::set<std::string> wanted_;
  std::map<std::string, Known> known_;
};

/// Reads a line from the terminal on stdin without showing it; nothing where there is none. The
/// prompt goes to stderr.
std::optional<std::string> read_passphrase(const std::string& prompt);

}  // namespace kcni::ssh
