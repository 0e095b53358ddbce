// Putting back what is missing: from Secrets of interrupted runs, and from files.
#include <fmt/format.h>

#include "common/base/text.h"
#include "common/cli/mending.h"
#include "common/cni/backup_file.h"
#include "common/cni/services_restore.h"
#include "plugins/svc-recreate/svc_recreate.h"

namespace kcni::svc_recreate {

using kube::Json;

namespace {

void require_nothing_selected(cli::Context& context) {
  const auto& flags = context.flags();
  bool selects = flags.flag("all") || flags.flag("all-namespaces") || flags.flag("only-broken") ||
                 !flags.text("selector").empty();
  if (context.args().empty() && !selects) return;
  throw wrong_usage(
      "--restore takes no names and no selection: it puts back whatever is missing (with "
      "--backup-dir, -n limits it to one namespace)");
}

void tell(cli::Context& context, const Json& object) {
  const auto* resource = kube::resource_of(object);
  context.results().done(*resource, kube::namespace_of(object), kube::name_of(object), "restored",
                         kube::text_at(object, "/spec/clusterIP"), object);
}

/// What the files came to.
struct FromFiles {
  std::size_t restored = 0, completed = 0, there = 0;
};

void restore_file(cli::Context& context, const cni::Backup& backup, FromFiles& count) {
  auto deadline = Deadline::after(context.flags().duration("timeout"));
  try {
    cni::Notice notice = [&context](const std::string& line) { context.note(line); };
    auto what =
        context.loop().run(cni::restore_from_file(context.client(), deadline, backup, notice));
    if (what.restored) {
      ++count.restored;
      tell(context, backup.object);
    } else if (!what.missing.empty()) {
      ++count.completed;
      bool only_tried = context.dry_run() != cli::DryRun::kNone;
      context.note(cni::completed_line(backup.object, what.missing, only_tried));
    } else {
      ++count.there;
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const cni::ServiceIsThere& error) {
    context.report(error);
  } catch (const Error& error) {
    context.report(Error(
        error.status(),
        fmt::format("{} could not be put back from {}: {}", cni::place_of_service(backup.object),
                    context.flags().text("backup-dir"), error.what())));
  }
}

FromFiles restore_files(cli::Context& context) {
  FromFiles count;
  auto directory = context.flags().text("backup-dir");
  if (directory.empty()) return count;
  auto ns = context.flags().text("namespace");
  for (const auto& backup : cni::read_backup_files(directory)) {
    if (!ns.empty() && kube::namespace_of(backup.object) != ns) continue;
    if (context.loop().interrupted()) throw Interrupted();
    restore_file(context, backup, count);
  }
  return count;
}

}  // namespace

void restore(cli::Context& context) {
  require_nothing_selected(context);
  auto report = context.loop().run(cli::mend_only(context, bounded_client(context)));
  for (const auto& object : report.objects) tell(context, object);
  auto files = restore_files(context);
  if (files.there > 0) {
    context.note(fmt::format("{} of {} {} there as it was", files.there,
                             context.flags().text("backup-dir"), files.there == 1 ? "is" : "are"));
  }
  bool any =
      !report.objects.empty() || !report.completed.empty() || files.restored + files.completed > 0;
  if (!any && context.exit_code() == 0) {
    context.note("nothing to restore");
  }
}

}  // namespace kcni::svc_recreate
