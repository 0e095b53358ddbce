// What a visit's report becomes on the screen.
#include <fmt/format.h>

#include "common/base/text.h"
#include "plugins/cleanup/cleanup.h"

namespace kcni::cleanup {

using cni::CleanupReport;
using Mode = cni::CleanupRequest::Mode;

namespace {

std::string described(const std::vector<cni::Residue>& items) {
  std::vector<std::string> words;
  for (const auto& item : items) words.push_back(cni::describe(item));
  return some_of(words, 20);
}

// What could not be looked at or done: then nothing is proved, whatever else was found.
void tell_failed(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  auto removed = report.removed.empty() ? "nothing" : cni::summary(report.removed);
  context.report(failed(fmt::format("node/{} is not clean: {} (removed: {})", visit.node,
                                    described(report.failed), removed)));
}

void tell_kept(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  if (report.kept.empty()) return;
  context.warn(fmt::format("node/{} keeps for now: {}", visit.node, described(report.kept)));
}

void done(cli::Context& context, const Visit& visit, const std::string& what,
          const std::string& detail = "") {
  context.results().done(kube::kNodes, "", visit.node, what, detail);
}

void tell_would(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  for (const auto& command : report.would) done(context, visit, "would run " + command);
  if (report.would.empty() && report.failed.empty()) done(context, visit, "clean");
}

void tell_check(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  tell_kept(context, visit, report);
  if (!report.failed.empty()) {
    tell_failed(context, visit, report);
  } else if (report.found.empty() && report.clean()) {
    done(context, visit, "clean");
    return;
  }
  if (!report.found.empty()) done(context, visit, "not clean", described(report.found));
  context.fail_quietly(ExitStatus::kFailed);
}

void tell_cleaned(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  if (visit.request.dry_run) {
    tell_would(context, visit, report);
  } else if (report.failed.empty()) {
    bool nothing = report.removed.empty();
    auto detail = nothing ? "nothing to do" : cni::summary(report.removed);
    done(context, visit, nothing ? "clean" : "cleaned", detail);
  }
  tell_kept(context, visit, report);
  if (!report.failed.empty()) tell_failed(context, visit, report);
}

void tell_restored(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  std::vector<std::string> names;
  for (const auto& item : report.removed) names.push_back(item.name);
  if (visit.request.dry_run && !report.would.empty()) {
    tell_would(context, visit, report);
  } else if (!names.empty()) {
    done(context, visit, "restored", join(names, ", "));
  } else if (report.failed.empty()) {
    done(context, visit, "has nothing to restore");
  }
  for (const auto& item : report.kept) {
    context.warn(fmt::format("node/{} keeps {}", visit.node, cni::describe(item)));
  }
  if (!report.failed.empty()) {
    context.report(failed(
        fmt::format("node/{}: not all is restored: {}", visit.node, described(report.failed))));
  }
}

void tell_conf(cli::Context& context, const Visit& visit, const CleanupReport& report) {
  if (report.conf.empty()) {
    tell_failed(context, visit, report);
    return;
  }
  done(context, visit, "has the new CNI's conf", report.conf);
}

}  // namespace

void tell(cli::Context& context, const Visit& visit, const Outcome& outcome) {
  const auto& report = outcome.report;
  if (outcome.error && !report.complete()) {
    context.report(*outcome.error);
    return;
  }
  switch (visit.request.mode) {
    case Mode::kCheck:
      tell_check(context, visit, report);
      break;
    case Mode::kWaitConf:
      tell_conf(context, visit, report);
      break;
    case Mode::kRestore:
      tell_restored(context, visit, report);
      break;
    case Mode::kClean:
    case Mode::kLinksOnly:
      tell_cleaned(context, visit, report);
  }
  if (outcome.error) context.report(*outcome.error);
}

std::string summary_of(const Tally& tally) {
  auto all = tally.fine + tally.bad.size() + tally.interrupted.size() + tally.not_begun.size();
  auto line = fmt::format("summary: {} of {} nodes are fine", tally.fine, all);
  auto add = [&](const char* what, const std::vector<std::string>& nodes) {
    if (!nodes.empty()) line += fmt::format("{}{}", what, some_of(nodes, 10));
  };
  add(", not so ", tally.bad);
  add("; interrupted in the middle: ", tally.interrupted);
  add("; not visited: ", tally.not_begun);
  return line;
}

}  // namespace kcni::cleanup
