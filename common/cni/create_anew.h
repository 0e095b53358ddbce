// Creating again what was just deleted, whatever stands in the way for a while.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "common/kube/client.h"

namespace kcni::cni {

/// Where an object that the server has is not as it should be ("spec.ports[0].port"), or "".
using Difference = std::function<std::string(const kube::Json& found)>;

/// Told what is waited for, in a line for the user.
using Notice = std::function<void(const std::string& line)>;

/// What the answer to a create means to somebody who must get the object back.
enum class CreateOutcome {
  kMade,
  kExists,  ///< an object of that name is there
  kTaken,   ///< its clusterIP or a nodePort is held by somebody, perhaps not for long
  kLater,   ///< overload, a failing webhook, a quota that has not counted the delete yet
  kNo,      ///< the server does not want it
};
CreateOutcome judge_create(const kube::Answer& answer);

/// Whether an object of which there is one already fits into the quota that complains about a
/// second ("exceeded quota: q, requested: services=1, used: services=5, limited: services=5", as
/// apiserver/pkg/admission/plugin/resourcequota puts it): not where more than the limit is used.
bool fits_after_delete(const std::string& quota_complaint);

/// create_anew() gave up because an address or port was held by somebody else until the deadline.
class AddressTaken : public Error {
 public:
  explicit AddressTaken(const std::string& message) : Error(ExitStatus::kFailed, message) {}
};

/// The object is there, but not as it should be.
class Differs : public Error {
 public:
  Differs(const std::string& message, kube::Json found, std::string where, bool made)
      : Error(ExitStatus::kFailed, message),
        found_(std::move(found)),
        where_(std::move(where)),
        made_(made) {}

  const kube::Json& found() const { return found_; }
  const std::string& where() const { return where_; }  ///< the first field that differs
  /// We have made it, and something (a webhook) has changed it on its way; else somebody else has.
  bool made() const { return made_; }

 private:
  kube::Json found_;
  std::string where_;
  bool made_ = false;
};

/// Lets the server check whether it would create the object, before the old one is deleted. Returns
/// whether the old one is still there. Throws ApiError when it would not.
Task<bool> check_creatable(kube::Client client, const kube::Resource& resource, kube::Json wanted);

/// Creates the object, again and again until the deadline (or a minute after Ctrl-C, if that comes
/// first and the client goes on all the same) while that makes sense, and returns it as
/// the server has it. One that is there already and is as it should be is good as well: an earlier
/// try or another run made it. That the server does not want it is believed after ten seconds.
/// Throws Differs, AddressTaken, ApiError, TimedOut, TransportError. The client's own deadline
/// should not be the earlier one.
/// notice, if there is one, is told what stands in the way, after a second and every 30 s.
Task<kube::Json> create_anew(kube::Client client, Deadline deadline, const kube::Resource& resource,
                             kube::Json wanted, Difference difference, Notice notice = {});

/// Waits until no object of that name has that UID. Throws TimedOut at the client's deadline.
Task<> wait_gone(kube::Client client, const kube::Resource& resource, std::string ns,
                 std::string name, std::string uid);

}  // namespace kcni::cni
