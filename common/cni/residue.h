// What flannel leaves on a node: the script that finds and removes it there, its arguments, and its
// report. Nothing in this file talks to a node; residue_visit.h does.
//
// The script is common/cni/remote/*.sh, one for every mode; cluster data reaches it only as the
// numbers and CIDRs that script_args() has validated. What it takes for flannel's, in which order
// it removes and what it leaves alone is said there.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kcni::cni {

struct CleanupRequest {
  enum class Mode {
    kCheck,      ///< says what is there, changes nothing
    kClean,      ///< removes it, then looks again
    kLinksOnly,  ///< removes cni0 (a bridge) and flannel.1 (a vxlan), nothing else
    kWaitConf,   ///< waits until the first CNI configuration is another CNI's
    kRestore,    ///< puts back the CNI configuration that kClean has set aside
  };
  Mode mode = Mode::kCheck;
  std::vector<std::uint32_t> vnis{};    ///< flannel's; none: 1
  std::vector<std::string> networks{};  ///< flannel's Network and IPv6Network: routes, conntrack
  /// Unfinished pods with a flannel address on the node, as the API server knows them (DaemonSets'
  /// included). Only when that is 0 are the CNI configuration, the plugin's state and the veths
  /// taken away: a living sandbox needs them for its teardown.
  std::optional<unsigned> pods_left{};
  /// With kCheck and kClean: only these of the script's kinds; none: all.
  std::vector<std::string> kinds{};
  bool dry_run = false;           ///< with what changes anything: only prints the commands
  std::chrono::seconds wait{0};   ///< with kWaitConf: how long one call waits on the node
  std::string wanted = "cilium";  ///< with kWaitConf: a word in the configuration's name or text
};

/// One thing on a node. Kinds: env conf veth link rule chain nft hostport route state conntrack
/// firewall node; and mark, which no script finds (flannel_marks.h).
struct Residue {
  std::string kind, name;
  std::string detail;  ///< why it was kept, or what went wrong

  bool operator==(const Residue&) const = default;
};

struct CleanupReport {
  std::vector<Residue> found, removed, kept, failed;
  std::vector<std::string> would;  ///< the commands of a dry run, in order
  std::string conf;                ///< with kWaitConf: the name of the new configuration
  int status = -1;                 ///< what the script ended with; -1: it did not come to its end
  bool complete() const { return status >= 0; }

  /// Nothing of flannel is (or will be) left but what is in `kept`, each with its reason.
  bool clean() const { return status == 0; }
  /// The wait was in vain (kWaitConf); `failed` says what is there instead.
  bool waited_in_vain() const { return status == 3; }
};

/// The script for stdin of `sh -s -- ARGS`.
const std::string& residue_script();

/// Its arguments. Throws Error (kFailed) for a network that is no CIDR or a VNI above 24 bits.
std::vector<std::string> script_args(const CleanupRequest& request);

/// Reads what the script printed; `exit_status` is that of the shell. Lines that are not the
/// script's (a login shell's greeting) are skipped. Every field is one printable line.
CleanupReport parse_report(std::string_view output, int exit_status);

/// How far the script is: what it looks at now, as the n-th of so many kinds.
struct CleanupStep {
  unsigned number = 0, of = 0;
  std::string kind;
};

/// One line of the script's output, if it tells of a step.
std::optional<CleanupStep> parse_step(std::string_view line);

/// For "node/w1 cleaned (cni0, flannel.1, conf, iptables)": links by name, each other kind once.
std::string summary(const std::vector<Residue>& items);

/// "link cni0", "route 10.244.1.0/24 via ...": one thing in a sentence, with its detail if any.
std::string describe(const Residue& item);

}  // namespace kcni::cni
