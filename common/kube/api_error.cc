#include "common/kube/api_error.h"

#include <fmt/format.h>

#include <utility>

namespace kcni::kube {

namespace {

// The wording is kubectl's (pkg/cmd/util/helpers.go), so that scripts and eyes know it.
std::string describe(const Answer& answer) {
  if (answer.status == 401) {
    return "You must be logged in to the server (Unauthorized): check the token or client "
           "certificate of the kubeconfig's user";
  }
  auto reason = answer.reason();
  auto message = answer.message();
  if (message.empty()) message = fmt::format("the server answered with status {}", answer.status);
  return reason.empty() ? fmt::format("Error from server: {}", message)
                        : fmt::format("Error from server ({}): {}", reason, message);
}

}  // namespace

const Json& Answer::cause(const std::string& type) const {
  for (const auto& cause : at(body, "/details/causes")) {
    if (text_at(cause, "/reason") == type) return cause;
  }
  return at(body, "/no/such/cause");
}

ApiError::ApiError(Answer answer)
    : Error(ExitStatus::kFailed, describe(answer)), answer_(std::move(answer)) {}

Json body_or_throw(Answer answer) {
  if (!answer.ok()) throw ApiError(std::move(answer));
  return std::move(answer.body);
}

}  // namespace kcni::kube
