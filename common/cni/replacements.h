// Whether what was evicted has been replaced: drain ends before that, and the next node's pods may
// be the last ones.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

/// The controllers of pods that were moved, by what makes them anew.
class Owners {
 public:
  /// Remembers the pod's controller: a ReplicaSet, ReplicationController or StatefulSet. A Job's
  /// pods are not replaced one by one, and of another kind nobody here knows when it is whole.
  void add(const kube::Json& pod);
  /// A bare pod that was made anew: it owns itself, so to say.
  void add_made(const kube::Json& pod);

  /// Of one kind, in one namespace or, with "", in all: what one watch sees.
  using Place = std::pair<const kube::Resource*, std::string>;

  bool empty() const { return by_place_.empty(); }
  const std::map<Place, std::map<std::string, std::string>>& by_place() const { return by_place_; }

 private:
  std::map<Place, std::map<std::string, std::string>> by_place_;  ///< UID → key
};

/// What such a controller misses until every pod that it wants is Ready, or a pod until it is Ready
/// or has finished, in words; "" when nothing.
/// A pure function of the object.
std::string replacement_missing(const kube::Json& object);

/// Watches until every owner that still exists is whole. progress gets a line whenever what is
/// missing changes. Throws TimedOut, naming what is missing, when the client's deadline passes.
Task<> wait_for_replacements(kube::Client client, Owners owners,
                             std::function<void(const std::string&)> progress);

}  // namespace kcni::cni
