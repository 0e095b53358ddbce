// Putting a deleted Service back from its backup.
#pragma once

#include <string>
#include <vector>

#include "common/cni/backup.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// Creates the Service of a backup anew and verifies it field by field. Throws what create_anew()
/// throws; AddressTaken names the Service that holds the address or port.
Task<kube::Json> restore_service(kube::Client client, Deadline deadline, Backup backup);

/// Creates those of the backup's Endpoints and EndpointSlices that went with the old Service, and
/// stays until the control plane's own clean-up is over. Throws ApiError.
Task<> put_back_companions(kube::Client client, Backup backup, kube::Json new_service);

/// "service/thief in namespace shop (clusterIP 10.96.0.12)": who has an address or nodePort that
/// this Service needs, or "" when none of them has.
std::string holder_of(const std::vector<kube::Json>& services, const kube::Json& wanted);

}  // namespace kcni::cni
