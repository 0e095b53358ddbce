// Carrying the visits out: over ssh in threads of their own, or by pods on the event loop.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "common/base/bounded.h"
#include "common/base/text.h"
#include "common/cni/flannel_marks.h"
#include "common/cni/residue_visit.h"
#include "common/http/signals.h"
#include "common/ssh/passphrases.h"
#include "common/ssh/pool.h"
#include "plugins/cleanup/cleanup.h"
#include "plugins/cleanup/rows.h"

namespace kcni::cleanup {

using cni::CleanupReport;
using Mode = cni::CleanupRequest::Mode;

namespace {

std::string shown(const cni::CleanupStep& step) {
  return fmt::format("{} {}", cli::bar(step.number - 1, step.of), step.kind);
}

// A visit that nobody need make.
CleanupReport nothing_found() {
  CleanupReport report;
  report.status = 0;
  return report;
}

class Visits {
 public:
  Visits(cli::Context& context, const std::vector<Visit>& visits, const Kinds& kinds,
         const std::function<void(const Visit&, const Outcome&)>& told)
      : context_(context),
        visits_(visits),
        told_(told),
        kinds_(kinds),
        parallel_(static_cast<std::size_t>(context.flags().number("parallel", 1))),
        rows_(std::make_shared<Rows>(context, visits.size())) {}

  void by_ssh(ssh::Options options) {
    ssh::Passphrases passphrases([this](const std::string& prompt) {
      context_.live().hide();
      return ssh::read_passphrase(prompt, context_.deadline(), &http::stop_flag());
    });
    options.passphrases = &passphrases;
    std::vector<std::function<Outcome()>> jobs;
    for (const auto& visit : visits_) {
      jobs.push_back([this, &visit, &options] { return visit_by_ssh(visit, options); });
    }
    std::function<void(std::size_t, const Outcome&)> on_end = [&](std::size_t i, const Outcome& o) {
      ends_.push_back(finish(visits_[i], o));
      ends_.back().start();
    };
    ssh::run_parallel<Outcome>(parallel_, jobs, on_end, [&] {
      passphrases.serve();
      go_on_with_ends();
    });
    while (!ends_.empty()) go_on_with_ends();
  }

  Task<> by_pods() {
    context_.loop().every(ssh::kIdle, [rows = rows_] { rows->draw(); });
    co_await at_most(parallel_, visits_.size(),
                     [this](std::size_t i) { return visit_with_pod(visits_[i]); });
  }

 private:
  Outcome visit_by_ssh(const Visit& visit, const ssh::Options& options) {
    Outcome outcome;
    if (!needs_look(visit, outcome)) return outcome;
    auto deadline = context_.deadline();
    try {
      rows_->set(visit.node, "logging in");
      ssh::Session session(visit.target, options, deadline, &http::stop_flag());
      rows_->set(visit.node, "looking at it");
      outcome.report =
          cni::visit(session, request_of(visit), deadline,
                     [&](const cni::CleanupStep& step) { rows_->set(visit.node, shown(step)); });
    } catch (const Error& error) {
      outcome.error = error;
    }
    return outcome;
  }

  Task<> visit_with_pod(const Visit& visit) {
    Outcome outcome;
    if (needs_look(visit, outcome)) {
      rows_->set(visit.node, "making a pod on it");
      try {
        outcome.report = co_await cni::visit_by_pod(
            context_.client(), visit.pod, request_of(visit), context_.deadline(),
            [this, &visit](const std::string& state) { rows_->set(visit.node, state); });
      } catch (const Error& error) {
        outcome.error = about(visit, error);
      }
    }
    co_await finish(visit, std::move(outcome));
  }

  // What the API client says does not know of nodes.
  static Error about(const Visit& visit, const Error& error) {
    auto node = "node/" + visit.node + ": ", what = std::string(error.what());
    return {error.status(), what.starts_with(node) ? what : node + what};
  }

  Task<> finish(const Visit& visit, Outcome outcome) {
    if (!outcome.error && kinds_.marks) {
      try {
        co_await mind_marks(visit, outcome.report);
      } catch (const Error& error) {
        outcome.error = error;
      }
    }
    rows_->done(visit.node);
    told_(visit, outcome);
    rows_->draw();
  }

  // They tell of the VNI, so they go last, when the node itself is clean.
  Task<> mind_marks(const Visit& visit, CleanupReport& report) {
    auto marks = cni::flannel_marks(visit.object);
    if (visit.request.mode == Mode::kCheck) {
      report.found.insert(report.found.end(), marks.begin(), marks.end());
      if (!marks.empty()) report.status = 1;
      co_return;
    }
    if (visit.request.mode != Mode::kClean) co_return;
    auto reason = reason_to_keep_marks(visit, report);
    if (kinds_.only_marks()) forget_found(report);
    if (!report.clean() || marks.empty()) co_return;
    if (!reason.empty()) {
      for (auto& mark : marks) mark.detail = reason;
      report.kept.insert(report.kept.end(), marks.begin(), marks.end());
      co_return;
    }
    if (visit.request.dry_run) {
      auto commands = cni::commands_to_remove_marks(visit.object);
      report.would.insert(report.would.end(), commands.begin(), commands.end());
      co_return;
    }
    auto client = context_.client().until(context_.deadline());
    auto removed = co_await cni::remove_flannel_marks(client, visit.node);
    report.removed.insert(report.removed.end(), removed.begin(), removed.end());
  }

  // The API server's answers come while other nodes are visited.
  void go_on_with_ends() {
    constexpr Milliseconds kTurn{50};
    if (!ends_.empty()) {
      context_.loop().run(context_.loop().sleep(kTurn, http::OnInterrupt::kGoOn));
    }
    auto ended = std::stable_partition(ends_.begin(), ends_.end(),
                                       [](const Task<>& task) { return !task.done(); });
    std::for_each(ended, ends_.end(), [](Task<>& task) { task.take(); });
    ends_.erase(ended, ends_.end());
    rows_->draw();
  }

  // False when the outcome is there without one.
  bool needs_look(const Visit& visit, Outcome& outcome) const {
    if (http::stop_flag()) {
      outcome.error = Interrupted();
      outcome.begun = false;
      return false;
    }
    if (!kinds_.only_marks() || visit.request.mode != Mode::kCheck) return true;
    outcome.report = nothing_found();
    return false;
  }

  // Where only the marks are to go, the links that they may tell the VNI of are looked for first.
  cni::CleanupRequest request_of(const Visit& visit) const {
    auto request = visit.request;
    if (!kinds_.only_marks()) return request;
    request.mode = Mode::kCheck;
    request.kinds = {"link"};
    request.dry_run = false;
    return request;
  }

  static void forget_found(CleanupReport& report) {
    report.found.clear();
    if (report.failed.empty()) report.status = 0;
  }

  std::string reason_to_keep_marks(const Visit& visit, const CleanupReport& report) const {
    if (visit.flannel_runs) return "flannel still runs there";
    if (auto left = visit.request.pods_left.value_or(0)) {
      return fmt::format("pods with a flannel address left here: {}", left);
    }
    if (kinds_.only_marks() && !report.found.empty()) {
      return fmt::format("it tells that {} is flannel's", cni::describe(report.found.front()));
    }
    if (!kinds_.links && !kinds_.only_marks()) {
      return "it tells which links are flannel's, which were left alone";
    }
    return "";
  }

  cli::Context& context_;
  const std::vector<Visit>& visits_;
  const std::function<void(const Visit&, const Outcome&)>& told_;
  const Kinds& kinds_;
  std::size_t parallel_;
  std::vector<Task<>> ends_;    ///< by ssh: what is to be done over the API afterwards
  std::shared_ptr<Rows> rows_;  ///< shared with the loop, which may outlive this
};

}  // namespace

void make_visits(cli::Context& context, const std::vector<Visit>& visits, ssh::Options ssh,
                 const Kinds& kinds,
                 const std::function<void(const Visit&, const Outcome&)>& told) {
  Visits all(context, visits, kinds, told);
  if (via_from(context) == Via::kSsh) {
    all.by_ssh(std::move(ssh));
  } else {
    context.loop().run(all.by_pods());
  }
}

}  // namespace kcni::cleanup
