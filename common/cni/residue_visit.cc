#include "common/cni/residue_visit.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/ssh/text.h"

namespace kcni::cni {

namespace {

using std::chrono::seconds;

using OnStep = std::function<void(const CleanupStep&)>;

CleanupReport visit_once(ssh::Session& session, const CleanupRequest& request, Deadline deadline,
                         const OnStep& on_step) {
  auto on_line = [&](std::string_view line) {
    auto step = parse_step(line);
    if (step && on_step) on_step(*step);
  };
  auto result = session.run(residue_script(), script_args(request), deadline, on_line);
  auto report = parse_report(result.out, result.status);
  if (report.complete() && !result.truncated) return report;
  // A login shell may speak on either stream ("This account is currently not available.").
  auto words = ssh::last_line(result.out.empty() ? result.err : result.out);
  bool no_shell = result.out.find('\t') == std::string::npos && result.status > 0;
  throw failed(fmt::format("{}: the cleanup script did not finish (exit status {}){}{}",
                           session.whom(), result.status, words.empty() ? "" : ": " + words,
                           no_shell ? "; has this user a shell there? (--ssh-user)" : ""));
}

}  // namespace

seconds wait_slice(Deadline deadline, seconds wanted, seconds most) {
  auto wait = wanted.count() > 0 ? wanted : most;
  if (auto left = deadline.left()) {
    wait = std::min(wait, std::chrono::duration_cast<seconds>(*left));
  }
  return std::clamp(wait, seconds(0), most);
}

CleanupReport visit(ssh::Session& session, CleanupRequest request, Deadline deadline,
                    const OnStep& on_step) {
  if (request.mode != CleanupRequest::Mode::kWaitConf) {
    return visit_once(session, request, deadline, on_step);
  }
  std::string in_the_way = "no answer yet";
  for (;;) {
    if (deadline.passed()) {
      throw TimedOut(fmt::format("{}: timed out waiting for the new CNI's configuration: {}",
                                 session.whom(), in_the_way));
    }
    request.wait = wait_slice(deadline, request.wait, seconds(20));
    // A little more than the deadline, so that the last answer can still say what is in the way.
    auto grace = Deadline::after(request.wait + seconds(5));
    auto report = visit_once(session, request, grace, on_step);
    if (!report.waited_in_vain()) return report;
    if (!report.failed.empty()) in_the_way = describe(report.failed.back());
  }
}

}  // namespace kcni::cni
