// Having EndpointSlices written anew.
#include <fmt/format.h>

#include <optional>

#include "common/base/bounded.h"
#include "common/base/text.h"
#include "common/cli/mending.h"
#include "common/cni/services_endpoints.h"
#include "common/cni/services_recreate.h"
#include "plugins/svc-recreate/svc_recreate.h"

namespace kcni::svc_recreate {

using kube::Json;

namespace {

std::optional<std::string> why_left_alone(const Json& service, bool named) {
  if (kube::terminating(service)) return "it is being deleted";
  if (kube::at(service, "/spec/selector").empty()) {
    return "it has no selector: nobody would write its endpoints anew";
  }
  if (kube::namespace_of(service) == "kube-system" && !named) {
    return "it is in kube-system: only when asked for by name";
  }
  return std::nullopt;
}

std::vector<Json> plan(cli::Context& context) {
  auto selection = selection_from(context);
  std::vector<Json> chosen;
  std::vector<std::string> left_alone;
  bool named = !context.args().empty();
  for (auto& service : selected_services(context, selection)) {
    if (auto reason = why_left_alone(service, named)) {
      left_alone.push_back(
          fmt::format("{} left alone: {}", cni::place_of_service(service), *reason));
    } else {
      chosen.push_back(std::move(service));
    }
  }
  if (named && !left_alone.empty()) {
    throw refused(join(left_alone, "; ") + ". Nothing was touched");
  }
  for (const auto& line : left_alone) {
    if (!line.starts_with("service/kubernetes in namespace default ")) context.warn(line);
  }
  return chosen;
}

void tell(cli::Context& context, const Json& service, std::size_t slices) {
  context.results().done(
      kube::kServices, kube::namespace_of(service), kube::name_of(service),
      slices > 0 ? "endpoints rewritten" : "endpoints left alone",
      slices > 0 ? count_of(slices, "EndpointSlice") : "none is the control plane's", service);
}

struct Progress {
  std::size_t done = 0, failed = 0;
};

Task<bool> rewrite(cli::Context& context, Progress& progress, Json service) {
  if (context.loop().interrupted()) throw Interrupted();
  auto client = bounded_client(context);
  try {
    auto slices = co_await cni::rewrite_slices(client, service);
    tell(context, service, slices);
    ++progress.done;
    co_return true;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    ++progress.failed;
    if (context.loop().interrupted()) {
      context.note(error.what());
      throw Interrupted();
    }
    context.report(error);
    co_return false;
  }
}

// The first one shows whether the control plane is at work at all.
Task<> rewrite_all(cli::Context& context, Progress& progress, std::vector<Json> services) {
  if (services.empty()) co_return;
  bool works = co_await rewrite(context, progress, services.front());
  if (!works) {
    if (services.size() > 1) {
      context.note(
          fmt::format("{} not touched after that", count_of(services.size() - 1, "Service")));
    }
    co_return;
  }
  auto at_once = static_cast<std::size_t>(context.flags().number("concurrency", 1));
  co_await at_most(at_once, services.size() - 1, [&](std::size_t i) -> Task<> {
    co_await rewrite(context, progress, services[i + 1]);
  });
}

}  // namespace

void rewrite_endpoints(cli::Context& context) {
  context.loop().run(cli::mend_services_first(context, bounded_client(context)));
  auto services = plan(context);
  if (context.dry_run() == cli::DryRun::kClient) {
    for (const auto& service : services) {
      context.results().done(kube::kServices, kube::namespace_of(service), kube::name_of(service),
                             "endpoints rewritten", "", service);
    }
    return;
  }
  Progress progress;
  auto all = services.size();
  try {
    context.loop().run(rewrite_all(context, progress, std::move(services)));
  } catch (const Interrupted&) {
    bool real = context.dry_run() == cli::DryRun::kNone;
    if (real) context.note(interrupted_after(progress.done, progress.failed, all, "done"));
    throw;
  }
}

}  // namespace kcni::svc_recreate
