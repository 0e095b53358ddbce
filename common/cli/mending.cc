#include "common/cli/mending.h"

#include "common/cni/backup.h"

namespace kcni::cli {

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
