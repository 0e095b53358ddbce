// Putting a deleted Service back from its backup.
#pragma once

#include <string>
#include <vector>

#include "common/cni/backup.h"
#include "common/cni/create_anew.h"
#include "common/cni/services_rest.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// Once a Service is deleted, a deadline that has nearly passed must not keep it from coming back.
constexpr Milliseconds kTimeToComeBack{15'000};
/// The deadline, or this much time from now when that is later.
Deadline at_least(Deadline deadline, Milliseconds least);

/// It differs from the one that was deleted.
class ServiceDiffers : public ServiceIsThere {
 public:
  /// rest: what else is wrong, or null.
  ServiceDiffers(const kube::Json& service, const Differs& found, const Incomplete* rest);
};

struct Restored {
  kube::Json service;                ///< the new one
  Clock::time_point back_at;         ///< when it was there
  std::vector<std::string> missing;  ///< what put_back_rest() has returned
};

/// Creates the Service of a backup anew, verifies it field by field, and puts back what belongs to
/// it; that has a quarter of a minute whatever the deadline is. Throws what create_anew() throws
/// (ServiceDiffers for its Differs: where we have made it, with what belongs to it in place) and
/// what put_back_rest() throws; AddressTaken names the Service that holds the address or port.
/// notice, if there is one, is told what keeps it from coming back.
Task<Restored> restore_service(kube::Client client, Deadline deadline, Backup backup,
                               Notice notice);

/// What became of one backup in a file.
struct FromFile {
  bool restored = false;             ///< else the Service was there as it was
  std::vector<std::string> missing;  ///< what was, or would be, put back of what belongs to it
};
/// Puts back a Service that is not there from its backup, as read_backup_files() has read it.
/// A dry run only looks. Throws what restore_service() throws; Error (kFailed) for one that is
/// there but differs.
Task<FromFile> restore_from_file(kube::Client client, Deadline deadline, Backup backup,
                                 Notice notice);

/// "endpoints/web of service/web in namespace shop put back"; or that it would be.
std::string completed_line(const kube::Json& service, const std::vector<std::string>& missing,
                           bool only_tried);

/// "service/thief in namespace shop (clusterIP 10.96.0.12)": who has an address or nodePort that
/// this Service needs, or "" when none of them has.
std::string holder_of(const std::vector<kube::Json>& services, const kube::Json& wanted);

}  // namespace kcni::cni
