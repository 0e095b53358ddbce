#include "common/cli/mending.h"

#include "common/cni/backup.h"

namespace kcni::cli {

namespace {

constexpr Milliseconds kInPassing{60'000};

}  // namespace

Task<> mend_in_passing(Context& context, bool makes_backups) {
  auto deadline = context.deadline().earlier(Deadline::after(kInPassing));
  co_await mend_and_tell(context, context.client().until(deadline), makes_backups);
}

Task<> mend_and_tell(Context& context, kube::Client client, bool makes_backups) {
  cni::MendOptions options;
  options.key = context.key();
  options.ns = context.config().namespace_;
  options.makes_backups = makes_backups;
  options.dry_run = context.dry_run() != DryRun::kNone;
  options.progress = [&context](const std::string& line) { context.note(line); };
  auto report = co_await cni::mend(std::move(client), std::move(options));
  for (const auto& line : report.mended) context.note(line);
  for (const auto& line : report.warnings) context.warn(line);
  for (const auto& error : report.errors) context.report(error);
}

}  // namespace kcni::cli
