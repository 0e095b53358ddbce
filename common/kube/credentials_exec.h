// Credentials that an exec plugin makes (client-go's exec.go).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "common/base/process.h"
#include "common/kube/credentials.h"
#include "common/kube/exec_credential.h"

namespace kcni::kube {

/// Runs the plugin when credentials are first asked for, after they expired, and after a 401.
/// In between, what it said is kept. The plugin's stderr is ours; its stdin too when it may ask.
class ExecCredentials : public Credentials {
 public:
  using Time = std::chrono::system_clock::time_point;

  /// What tests replace.
  struct Seams {
    std::function<ProcessResult(const Command&)> run = kcni::run;
    std::function<Time()> now = std::chrono::system_clock::now;
    std::function<bool()> stdin_is_terminal = default_stdin_is_terminal;
    static bool default_stdin_is_terminal();
  };

  /// `whose` names the user in messages.
  ExecCredentials(ExecPlugin plugin, ExecCluster cluster, std::string whose);
  ExecCredentials(ExecPlugin plugin, ExecCluster cluster, std::string whose, Seams seams);

  std::optional<std::string> bearer_token() override;
  std::optional<CertificatePair> client_certificate() override;
  bool refresh() override;

 private:
  const ExecCredential& current();
  ExecCredential run_plugin() const;
  Command command() const;
  bool interactive() const;
  Error problem(const std::string& what) const;
  Error run_problem(const ProcessResult& result) const;

  ExecPlugin plugin_;
  ExecCluster cluster_;
  std::string whose_;
  Seams seams_;
  std::optional<ExecCredential> cached_;
  std::optional<Time> refreshed_at_;
  bool refreshing_ = false;
};

}  // namespace kcni::kube
