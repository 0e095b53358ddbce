#include "common/cli/mending.h"

namespace kcni::cli {

namespace {

constexpr Milliseconds kInPassing{60'000};

// Tells nothing of whole objects but how far it is, and which could not be put back.
Task<cni::MendReport> mend_quietly(Context& context, kube::Client client,
                                   cni::MendOptions options) {
  options.key = context.key();
  options.ns = context.config().namespace_;
  options.dry_run |= context.dry_run() != DryRun::kNone;
  options.progress = [&context](const std::string& line) { context.note(line); };
  auto report = co_await cni::mend(std::move(client), std::move(options));
  for (const auto& line : report.completed) context.note(line);
  for (const auto& error : report.errors) context.report(error);
  co_return report;
}

Task<std::vector<std::string>> mend(Context& context, kube::Client client,
                                    cni::MendOptions options) {
  auto report = co_await mend_quietly(context, std::move(client), std::move(options));
  for (const auto& line : report.mended) context.note(line);
  for (const auto& line : report.warnings) context.warn(line);
  co_return std::move(report.open);
}

Task<std::vector<std::string>> mend_until(Context& context, bool makes_backups, Deadline deadline) {
  cni::MendOptions options;
  options.makes_backups = makes_backups;
  co_return co_await mend(context, context.client().until(deadline), std::move(options));
}

}  // namespace

Task<> mend_services_first(Context& context, kube::Client client, bool only_looks) {
  cni::MendOptions options;
  options.dry_run = only_looks;
  options.insists_on = &kube::kServices;
  auto open = co_await mend(context, std::move(client), std::move(options));
  for (const auto& line : open) context.warn(line);
}

Task<cni::MendReport> mend_only(Context& context, kube::Client client) {
  cni::MendOptions options;
  options.insists_on = &kube::kServices;
  auto report = co_await mend_quietly(context, std::move(client), std::move(options));
  for (const auto& line : report.warnings) context.report(failed(line));
  for (const auto& line : report.open) context.report(failed(line));
  co_return report;
}

Task<bool> mend_in_passing(Context& context, bool makes_backups) {
  auto deadline = context.deadline().earlier(Deadline::after(kInPassing));
  auto open = co_await mend_until(context, makes_backups, deadline);
  for (const auto& line : open) context.warn(line);
  co_return open.empty();
}

Task<> mend_at_last(Context& context, bool makes_backups) {
  try {
    auto open = co_await mend_until(context, makes_backups, Deadline::after(kInPassing));
    for (const auto& line : open) context.report(failed(line));
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    context.report(error);
  }
}

}  // namespace kcni::cli
