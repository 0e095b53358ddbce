// What the API server said when it did not do as asked.
#pragma once

#include <optional>
#include <string>

#include "common/base/deadline.h"
#include "common/base/error.h"
#include "common/kube/json.h"

namespace kcni::kube {

/// An answer of the API server, good or bad. 404, 409 and 429 are ordinary values: callers look at
/// the status; who cannot go on without success calls body_or_throw().
struct Answer {
  int status = 0;
  Json body;                                ///< the object, or a metav1.Status
  std::optional<Milliseconds> retry_after;  ///< the Retry-After header
  /// The connection broke, or the server failed, so the request was sent again: the first one may
  /// have done its work, and a conflict or a 404 may tell of that.
  bool sent_again = false;
  std::string text{};  ///< of an answer that is no JSON, such as a log

  bool ok() const { return status >= 200 && status < 300; }
  bool not_found() const { return status == 404; }
  bool conflict() const { return status == 409; }
  bool too_many_requests() const { return status == 429; }

  std::string reason() const { return text_at(body, "/reason"); }
  std::string message() const { return text_at(body, "/message"); }
  /// The Status has a cause of this type (details.causes[].reason), e.g. "DisruptionBudget".
  const Json& cause(const std::string& type) const;
  /// Nothing is made in a namespace that is being deleted.
  bool namespace_terminating() const { return !cause("NamespaceTerminating").is_null(); }
};

/// An Answer that a command cannot go on with. what() is kubectl's
/// "Error from server (Reason): message" in one line.
class ApiError : public Error {
 public:
  explicit ApiError(Answer answer);

  const Answer& answer() const { return answer_; }

 private:
  Answer answer_;
};

/// The object of a good answer. Throws ApiError.
Json body_or_throw(Answer answer);

}  // namespace kcni::kube
