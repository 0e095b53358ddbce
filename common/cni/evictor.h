// Getting one pod to leave: through the eviction API, and, for a bare Pod, back again.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/cni/backup.h"
#include "common/kube/tracker.h"

namespace kcni::cni {

struct EvictorOptions {
  bool disable_eviction = false;  ///< delete, whatever the budgets say
  std::optional<long> grace_period;
  Deadline deadline = Deadline::never();
  /// A pod that is still being deleted so long after its grace period is named with the reason.
  Milliseconds stuck_after{60'000};
  /// Its end is not waited for any longer than this after its deletionTimestamp; 0: it is. Not for
  /// a pod that is to come back.
  std::chrono::seconds skip_after{0};
  std::string timeout_text;  ///< of the deadline, for messages
  std::string key;           ///< label key of the migration: a pod that is made anew loses its pin
  std::function<void(const std::string&)> note;  ///< lines of progress
  /// Lines that the user must have seen, with the pod that they are about and one word for what
  /// happens: "waiting", "stuck", "left", "interrupted".
  std::function<void(const char* event, const kube::Json& pod, const std::string& line)> notice;
};

/// The tracker, which outlives it, sees the pods that it is given. With a client that only tries
/// (--dry-run) nothing is waited for.
class Evictor {
 public:
  Evictor(kube::Client client, kube::Tracker& tracker, EvictorOptions options)
      : client_(std::move(client)), tracker_(tracker), options_(std::move(options)) {}

  /// Evicts, by UID, asks again while a budget blocks, and waits until it is gone. Throws Error:
  /// kBlocked at the deadline, with the budget that blocks.
  Task<> evict(kube::Json pod);

  /// Evicts a bare Pod and makes it anew, pinned to KEY=value if there is one. Backed up first;
  /// from the accepted eviction on it is brought back whatever comes: Ctrl-C waits for it a while,
  /// and what ends the process all the same is mended by mend(). One that finishes, or that
  /// somebody else deletes, before its eviction is accepted is not made anew. Returns it as the
  /// server has it; null: not made anew, which was said.
  Task<kube::Json> recreate(kube::Json pod, std::optional<std::string> value = std::nullopt);

  /// Says what holds it when that takes too long, and throws Error (kBlocked) at the deadline.
  Task<> wait_until_gone(const kube::Json& pod, http::OnInterrupt on_interrupt);

  /// The same for no longer than skip_after, which is said.
  Task<> wait_or_skip(const kube::Json& pod);

 private:
  Task<bool> goes_within(const kube::Json& pod, Milliseconds pause);
  Task<std::optional<std::chrono::system_clock::time_point>> deleted_since(const kube::Json& pod);
  Milliseconds grace_of(const kube::Json& pod) const;
  Task<> drop_unused(kube::Client client, BackupRef backup);
  enum class Leaves {
    kAsked,     ///< the server has accepted our eviction, as far as we can know
    kByItself,  ///< somebody else deletes it, or has
    kFinished,  ///< it runs no more
  };

  /// What recreate() knows of the pod while it goes.
  struct Return {
    kube::Json pod;  ///< as last seen whole
    BackupRef backup;
    bool perhaps_asked = false;  ///< an answer was lost: the eviction may have been accepted
  };

  Error kept(const Return& back, const char* state, const Error& trouble) const;
  Task<Leaves> persuade(kube::Client client, const kube::Json& pod, Return* back);
  void check_may_go(const kube::Json& pod) const;
  Task<std::optional<Leaves>> meanwhile(kube::Client client, const kube::Json& pod, Return* back);
  Task<Leaves> confirm_gone(kube::Client client, const kube::Json& pod);
  Task<> say_left(const kube::Json& pod, Leaves how);
  Task<> wait_until_gone(const kube::Json& pod, http::OnInterrupt on_interrupt, Deadline deadline,
                         std::string timeout_text);
  kube::Json made_anew(const kube::Json& pod, const std::optional<std::string>& value) const;
  Task<bool> check_comes_back(kube::Client client, const kube::Json& pod, kube::Json anew);
  Task<BackupRef> save_once_more(kube::Client client, const kube::Json& pod, BackupRef before);
  Task<> wait_to_return(const Return& back);
  Task<kube::Json> bring_back(const Return& back, kube::Json anew);
  Task<kube::Answer> ask_to_leave(kube::Client client, const kube::Json& pod);
  Task<std::optional<Leaves>> verdict(kube::Client client, const kube::Json& pod,
                                      const kube::Answer& answer, Clock::time_point& next_notice);
  bool only_tries() const { return client_.dry_run() || client_.options().read_only; }

  kube::Client client_;
  kube::Tracker& tracker_;
  EvictorOptions options_;
  std::map<std::string, std::string> blocked_by_;  ///< pod key → the server's words
};

}  // namespace kcni::cni
