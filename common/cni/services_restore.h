// Putting a deleted Service back from its backup.
#pragma once

#include <string>
#include <vector>

#include "common/cni/backup.h"
#include "common/cni/create_anew.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// Creates the Service of a backup anew and verifies it field by field. Throws what create_anew()
/// throws; AddressTaken names the Service that holds the address or port. notice, if there is one,
/// is told what keeps it from coming back.
Task<kube::Json> restore_service(kube::Client client, Deadline deadline, Backup backup,
                                 Notice notice);

/// What belongs to the Service: the status, unless the new one has one already, and those of the
/// backup's Endpoints and EndpointSlices that went with the old Service. Stays until the control
/// plane's own clean-up is over. Returns those of them that were missing ("endpoints/web"). Throws
/// ApiError.
Task<std::vector<std::string>> put_back_rest(kube::Client client, Backup backup,
                                             kube::Json new_service);

/// Lets the server check whether put_back_rest() may write the status. Throws ApiError.
Task<> check_status_writable(kube::Client client, kube::Json service);

/// What became of one backup in a file.
struct FromFile {
  bool restored = false;             ///< else the Service was there as it was
  std::vector<std::string> missing;  ///< what was put back of that which belongs to it
};
/// Puts back a Service that is not there from its backup, as read_backup_files() has read it.
/// A dry run only looks. Throws what restore_service() throws; Error (kFailed) for one that is
/// there but differs.
Task<FromFile> restore_from_file(kube::Client client, Deadline deadline, Backup backup,
                                 Notice notice);

/// "endpoints/web of service/web in namespace shop put back"
std::string completed_line(const kube::Json& service, const std::vector<std::string>& missing);

/// "service/thief in namespace shop (clusterIP 10.96.0.12)": who has an address or nodePort that
/// this Service needs, or "" when none of them has.
std::string holder_of(const std::vector<kube::Json>& services, const kube::Json& wanted);

}  // namespace kcni::cni
