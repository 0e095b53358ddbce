// Asking for the passphrase of an encrypted key: once a run, however many nodes want the key.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "common/ssh/patience.h"

namespace kcni::ssh {

/// The one copy of what the user typed, wiped from memory when the last who needs it lets it go.
/// Null: there is none.
using Passphrase = std::shared_ptr<const std::string>;

Passphrase make_passphrase(std::string_view text);

/// Sessions ask in their own threads and wait; the thread that owns the terminal answers in
/// serve(). Passphrases stay in memory until this object goes or they prove wrong, and appear in no
/// message.
class Passphrases {
 public:
  /// Returns what the user typed, or null when he gave up or cannot be asked. May throw as
  /// Patience::check().
  using Ask = std::function<Passphrase(const std::string& prompt)>;

  explicit Passphrases(Ask ask) : ask_(std::move(ask)) {}
  Passphrases(const Passphrases&) = delete;
  Passphrases& operator=(const Passphrases&) = delete;

  /// For a session: the passphrase of this key ("~/.ssh/id"), or null. `wrong`: the one that does
  /// not open it, so that the user is asked again, three times at the most. As long as it takes the
  /// user; throws as patience.check().
  Passphrase get(const std::string& key, Passphrase wrong, const Patience& patience);

  /// For the thread that owns the terminal: asks for what is waited for, and still may be.
  void serve();

 private:
  struct Known {
    Passphrase passphrase;
    int asked = 0;  ///< no more when the user gave up
  };

  Ask ask_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::map<std::string, Patience> wanted_;
  std::map<std::string, Known> known_;
};

/// Reads a line from the terminal on stdin without showing it; null where there is none. The prompt
/// goes to stderr. Throws Interrupted and TimedOut, with the terminal as it was before.
Passphrase read_passphrase(const std::string& prompt, Deadline deadline, StopFlag stop);

}  // namespace kcni::ssh
