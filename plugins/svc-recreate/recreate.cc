// Deleting Services and creating them anew.
#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/cli/mending.h"
#include "plugins/svc-recreate/svc_recreate.h"

namespace kcni::svc_recreate {

using kube::Json;

namespace {

std::vector<Json> plan(cli::Context& context, const cni::ServiceSelection& selection,
                       const cni::ServiceConsent& consent) {
  auto plan = cni::plan_services(selected_services(context, selection), consent);
  if (consent.named && !plan.left_alone.empty()) {
    throw refused(join(plan.left_alone, "; ") + ". Nothing was touched");
  }
  for (const auto& line : plan.left_alone) context.warn(line);
  return std::move(plan.recreate);
}

void tell(cli::Context& context, const Json& service) {
  context.results().done(kube::kServices, kube::namespace_of(service), kube::name_of(service),
                         "recreated", kube::text_at(service, "/spec/clusterIP"), service);
}

std::string absence(std::vector<Milliseconds> times) {
  std::sort(times.begin(), times.end());
  if (times.size() == 1) return fmt::format("absent for {} ms", times[0].count());
  return fmt::format("{} absent for {} ms each (median), {} ms at most",
                     count_of(times.size(), "Service"), times[times.size() / 2].count(),
                     times.back().count());
}

void apply(cli::Context& context, const cni::RecreateOptions& options, std::vector<Json> services) {
  std::vector<Milliseconds> times;
  std::size_t failed = 0, all = services.size();
  cni::RecreateObserver observer;
  observer.done = [&](const cni::Recreated& recreated) {
    tell(context, recreated.service);
    times.push_back(recreated.absent);
  };
  observer.failed = [&](const Error& error) {
    ++failed;
    context.report(error);
  };
  bool interrupted = false;
  try {
    context.loop().run(
        cni::recreate_services(context.client(), options, std::move(services), observer));
  } catch (const Interrupted&) {
    interrupted = true;
  }
  bool real = context.dry_run() == cli::DryRun::kNone;
  if (real && !times.empty()) context.note(absence(times));
  if (!interrupted) return;
  if (real) context.note(interrupted_after(times.size(), failed, all, "recreated"));
  throw Interrupted();
}

}  // namespace

void recreate(cli::Context& context) {
  auto selection = selection_from(context);
  auto options = options_from(context);
  options.notice = [&context](const std::string& line) { context.note(line); };
  context.loop().run(cli::mend_services_first(context, bounded_client(context)));
  auto services = plan(context, selection, options.consent);
  if (context.dry_run() == cli::DryRun::kClient) {
    for (const auto& service : services) tell(context, service);
  } else {
    apply(context, options, std::move(services));
  }
}

}  // namespace kcni::svc_recreate
