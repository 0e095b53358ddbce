// Whether what was evicted has been replaced: drain ends before that, and the next node's pods may
// be the last ones.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

/// The controllers of pods that were moved, by what makes them anew.
class Owners {
 public:
  /// Remembers the pod's controller: a ReplicaSet, ReplicationController or StatefulSet. A Job's
  /// pods are not replaced one by one, and of another kind nobody here knows when it is whole.
  void add(const kube::Json& pod);

  bool empty() const { return by_kind_.empty(); }
  const std::map<const kube::Resource*, std::map<std::string, std::string>>& by_kind() const {
    return by_kind_;
  }
  const std::set<std::string>& namespaces() const { return namespaces_; }

 private:
  std::set<std::string> namespaces_;
  std::map<const kube::Resource*, std::map<std::string, std::string>> by_kind_;  ///< UID → key
};

/// What such a controller misses until every pod that it wants is Ready, in words; "" when nothing.
/// A pure function of the object.
std::string replacement_missing(const kube::Json& object);

/// Watches until every owner that still exists is whole. progress gets a line whenever what is
/// missing changes. Throws TimedOut, naming what is missing, when the client's deadline passes.
Task<> wait_for_replacements(kube::Client client, Owners owners,
                             std::function<void(const std::string&)> progress);

}  // namespace kcni::cni
