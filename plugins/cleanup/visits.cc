// Carrying the visits out: over ssh in threads of their own, or by pods on the event loop.
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <mutex>

#include "common/base/bounded.h"
#include "common/base/text.h"
#include "common/cni/flannel_marks.h"
#include "common/cni/residue_visit.h"
#include "common/http/signals.h"
#include "common/ssh/passphrases.h"
#include "common/ssh/pool.h"
#include "plugins/cleanup/cleanup.h"

namespace kcni::cleanup {

using cni::CleanupReport;
using Mode = cni::CleanupRequest::Mode;

namespace {

constexpr std::chrono::seconds kQuiet{5};

/// What each node that is being visited is at, for the screen. set() and done() may be called from
/// any thread, draw() only from the one that owns the screen.
class Rows {
 public:
  Rows(cli::Context& context, std::size_t total) : context_(context), total_(total) {}

  void set(const std::string& node, const std::string& state) {
    std::lock_guard lock(mutex_);
    auto [row, is_new] = rows_.try_emplace(node);
    if (is_new) row->second.since = Clock::now();
    row->second.state = state;
  }

  void done(const std::string& node) {
    std::lock_guard lock(mutex_);
    rows_.erase(node);
    ++ended_;
    context_.live().drop(node);
    if (ended_ == total_) context_.live().drop(kTotal);
  }

  // Without a terminal only what takes long is worth a line.
  void draw() {
    std::lock_guard lock(mutex_);
    for (const auto& [node, row] : rows_) {
      context_.live().set(node, fmt::format("node/{} {}", node, row.state));
      if (!context_.live().on_terminal() && Clock::now() - row.since > kQuiet) {
        context_.waiting(fmt::format("node/{}: {}", node, row.state));
      }
    }
    if (total_ > 1 && ended_ < total_) {
      context_.live().set(kTotal, fmt::format("nodes {}", cli::bar(ended_, total_)));
    }
    context_.remind();
  }

 private:
  static constexpr const char* kTotal = "~";  // below all nodes

  struct Row {
    std::string state;
    Clock::time_point since;
  };

  cli::Context& context_;
  std::size_t total_;
  std::size_t ended_ = 0;
  std::mutex mutex_;
  std::map<std::string, Row> rows_;
};

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
        rows_(context, visits.size()) {}

  void by_ssh(ssh::Options options) {
    ssh::Passphrases passphrases([this](const std::string& prompt) {
      context_.live().hide();
      return ssh::read_passphrase(prompt);
    });
    options.passphrases = &passphrases;
    std::vector<std::function<Outcome()>> jobs;
    for (const auto& visit : visits_) {
      jobs.push_back([this, &visit, &options] { return visit_by_ssh(visit, options); });
    }
    std::function<void(std::size_t, const Outcome&)> on_end = [&](std::size_t i, const Outcome& o) {
      context_.loop().run(finish(visits_[i], o));
    };
    ssh::run_parallel<Outcome>(parallel_, jobs, on_end, [&] {
      passphrases.serve();
      rows_.draw();
    });
  }

  Task<> by_pods() {
    context_.loop().every(ssh::kIdle, [this] { rows_.draw(); });
    co_await at_most(parallel_, visits_.size(),
                     [this](std::size_t i) { return visit_with_pod(visits_[i]); });
  }

 private:
  Outcome visit_by_ssh(const Visit& visit, const ssh::Options& options) {
    if (!kinds_.any_of_script) return {nothing_found(), {}};
    Outcome outcome;
    auto deadline = context_.deadline();
    try {
      rows_.set(visit.node, "logging in");
      ssh::Session session(visit.target, options, deadline, &http::stop_flag());
      rows_.set(visit.node, "looking at it");
      outcome.report =
          cni::visit(session, visit.request, deadline,
                     [&](const cni::CleanupStep& step) { rows_.set(visit.node, shown(step)); });
    } catch (const Error& error) {
      outcome.error = error;
    }
    return outcome;
  }

  Task<> visit_with_pod(const Visit& visit) {
    Outcome outcome;
    if (!kinds_.any_of_script) {
      outcome.report = nothing_found();
    } else {
      rows_.set(visit.node, "making a pod on it");
      try {
        outcome.report = co_await cni::visit_by_pod(
            context_.client(), visit.pod, visit.request, context_.deadline(),
            [this, &visit](const std::string& state) { rows_.set(visit.node, state); });
      } catch (const Error& error) {
        outcome.error = error;
      }
    }
    co_await finish(visit, std::move(outcome));
  }

  Task<> finish(const Visit& visit, Outcome outcome) {
    if (!outcome.error && kinds_.marks) {
      try {
        co_await mind_marks(visit, outcome.report);
      } catch (const Error& error) {
        outcome.error = error;
      }
    }
    rows_.done(visit.node);
    told_(visit, outcome);
  }

  // They tell of the VNI, so they go last, when the node itself is clean.
  Task<> mind_marks(const Visit& visit, CleanupReport& report) {
    auto marks = cni::flannel_marks(visit.object);
    if (visit.request.mode == Mode::kCheck) {
      report.found.insert(report.found.end(), marks.begin(), marks.end());
      if (!marks.empty()) report.status = 1;
      co_return;
    }
    bool goes = visit.request.mode == Mode::kClean && report.clean() && !visit.flannel_runs &&
                visit.request.pods_left == 0U;
    if (!goes || marks.empty()) co_return;
    if (visit.request.dry_run) {
      auto commands = cni::commands_to_remove_marks(visit.object);
      report.would.insert(report.would.end(), commands.begin(), commands.end());
      co_return;
    }
    auto client = context_.client().until(context_.deadline());
    auto removed = co_await cni::remove_flannel_marks(client, visit.node);
    report.removed.insert(report.removed.end(), removed.begin(), removed.end());
  }

  cli::Context& context_;
  const std::vector<Visit>& visits_;
  const std::function<void(const Visit&, const Outcome&)>& told_;
  const Kinds& kinds_;
  std::size_t parallel_;
  Rows rows_;
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
