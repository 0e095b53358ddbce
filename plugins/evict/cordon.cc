#include "plugins/evict/cordon.h"

#include <fmt/format.h>

#include <optional>

#include "common/cni/nodes.h"

namespace kcni::evict {

using kube::Json;

namespace {

constexpr int kMaxReplans = 5;

void say(cli::Context& context, const Target& target, const std::string& what) {
  context.results().done(kube::kNodes, "", target.name(), what, "", target.node);
}

// False when it was so already, unless by our own patch, whose answer was lost.
Task<bool> make(cli::Context& context, kube::Client client, Target& target, bool cordoned) {
  bool perhaps_ours = false;
  for (int attempt = 0; cni::is_cordoned(target.node) != cordoned; ++attempt) {
    if (context.dry_run() == cli::DryRun::kClient) {
      target.node["spec"]["unschedulable"] = cordoned;
      co_return true;
    }
    Json patch = {{"metadata",
                   {{"resourceVersion", kube::text_at(target.node, "/metadata/resourceVersion")}}},
                  {"spec", {{"unschedulable", cordoned ? Json(true) : Json()}}}};
    auto answer =
        co_await client.patch(kube::kNodes, "", target.name(), kube::PatchType::kMerge, patch);
    if (answer.conflict() && attempt < kMaxReplans) {
      perhaps_ours |= answer.sent_again;
      auto again = co_await client.get(kube::kNodes, "", target.name());
      target.node = kube::body_or_throw(std::move(again));
      continue;
    }
    target.node = kube::body_or_throw(std::move(answer));
    if (cni::is_cordoned(target.node) != cordoned) {
      throw failed(fmt::format("node/{} did not stay {}", target.name(),
                               cordoned ? "cordoned" : "uncordoned"));
    }
    co_return true;
  }
  co_return perhaps_ours;
}

}  // namespace

// Not cut short by Ctrl-C, or nobody would know whether it is cordoned.
Task<> cordon(cli::Context& context, Target& target) {
  if (context.loop().interrupted()) throw Interrupted();
  std::optional<Error> unknown;
  try {
    target.cordoned_by_us = co_await make(context, context.client().shielded(), target, true);
  } catch (const http::TransportError& error) {
    unknown = error;
  } catch (const TimedOut& error) {
    unknown = error;
  }
  if (unknown) {
    throw Error(unknown->status(),
                fmt::format("node/{} may be cordoned now: {}", target.name(), unknown->what()));
  }
  say(context, target, target.cordoned_by_us ? "cordoned" : "already cordoned");
}

Task<> check_cordon(cli::Context& context, const Target& target) {
  auto answer = co_await context.client().get(kube::kNodes, "", target.name());
  Json now = kube::body_or_throw(std::move(answer));
  if (cni::is_cordoned(now)) co_return;
  throw failed(fmt::format(
      "node/{} was uncordoned by somebody else meanwhile, so what is evicted may come back to it: "
      "its other pods are left alone; run this again",
      target.name()));
}

Task<> uncordon(cli::Context& context, Target& target) {
  bool changed = co_await make(context, context.client().shielded(), target, false);
  target.cordoned_by_us = false;
  say(context, target, changed ? "uncordoned" : "already uncordoned");
}

}  // namespace kcni::evict
