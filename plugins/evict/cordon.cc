#include "plugins/evict/cordon.h"

#include <fmt/format.h>

#include "common/cni/nodes.h"

namespace kcni::evict {

using kube::Json;

namespace {

constexpr int kMaxReplans = 5;

void say(cli::Context& context, const Target& target, const std::string& what) {
  context.results().done(kube::kNodes, "", target.name(), what, "", target.node);
}

// False when it was so already. After a conflict with our own patch, whose answer was lost, it is
// ours.
Task<bool> make(cli::Context& context, kube::Client client, Target& target, bool cordoned) {
  int attempt = 0;
  for (; cni::is_cordoned(target.node) != cordoned; ++attempt) {
    if (context.dry_run() == cli::DryRun::kClient) co_return true;
    Json patch = {{"metadata",
                   {{"resourceVersion", kube::text_at(target.node, "/metadata/resourceVersion")}}},
                  {"spec", {{"unschedulable", cordoned ? Json(true) : Json()}}}};
    auto answer =
        co_await client.patch(kube::kNodes, "", target.name(), kube::PatchType::kMerge, patch);
    if (answer.conflict() && attempt < kMaxReplans) {
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
  co_return attempt > 0;
}

}  // namespace

// Not cut short by Ctrl-C, or nobody would know whether it is cordoned.
Task<> cordon(cli::Context& context, Target& target) {
  if (context.loop().interrupted()) throw Interrupted();
  target.cordoned_by_us = co_await make(context, context.client().shielded(), target, true);
  say(context, target, target.cordoned_by_us ? "cordoned" : "already cordoned");
}

Task<> uncordon(cli::Context& context, Target& target) {
  bool changed = co_await make(context, context.client().shielded(), target, false);
  target.cordoned_by_us = false;
  say(context, target, changed ? "uncordoned" : "already uncordoned");
}

}  // namespace kcni::evict
