// The pods, Nodes and ReplicaSets around workloads, read once for all of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/cni/in_place.h"
#include "common/kube/client.h"

namespace kcni::cni {

class Neighbourhood {
 public:
  /// Of a namespace, or of all when it is empty. Throws ApiError.
  static Task<Neighbourhood> read(kube::Client client, std::string ns);

  /// As read(), but only what is around one workload. Throws ApiError.
  static Task<Neighbourhood> read_around(kube::Client client, Workload workload);

  /// Valid as long as this object is neither changed nor moved.
  Surroundings around(const Workload& workload) const;

  const std::vector<kube::Json>& pods() const { return pods_; }
  const std::vector<kube::Json>& nodes() const { return nodes_; }
  bool any_node_has(const std::string& key, const std::string& value) const;

 private:
  static Task<Neighbourhood> read_selected(kube::Client client, std::string ns,
                                           std::string label_selector);
  std::vector<const kube::Json*> replica_sets_of(const std::string& uid) const;

  std::vector<kube::Json> pods_, nodes_, replica_sets_;
  std::map<std::string, std::vector<std::size_t>> pods_by_owner_, sets_by_owner_;
};

/// The ReplicaSets of a Deployment as they are now.
Task<std::vector<kube::Json>> read_replica_sets(kube::Client client, kube::Json deployment);

}  // namespace kcni::cni
