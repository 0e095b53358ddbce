// A request, its answer, and what went wrong when there was none.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/base/deadline.h"
#include "common/base/error.h"
#include "common/http/loop.h"

namespace kcni::http {

struct Request {
  std::string method = "GET";
  std::string path;                  ///< from the slash on, query included
  std::vector<std::string> headers;  ///< "Name: value"
  std::string body;
  Deadline deadline = Deadline::never();
  OnInterrupt on_interrupt = OnInterrupt::kThrow;
  bool fresh_connection = false;  ///< do not reuse one that may be broken
};

struct Response {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;

  /// The first header of that (lower-case) name, or "".
  std::string header(const std::string& name) const;
  std::vector<std::string> all_headers(const std::string& name) const;
};

/// No answer came. what() is for the user and names the server.
class TransportError : public Error {
 public:
  enum class Kind {
    kUnreachable,  ///< no connection was made: nothing was sent, any request may be sent again
    kDropped,      ///< the connection broke: the server may or may not have acted
    kUntrusted,    ///< TLS failed
    kOther,
  };

  TransportError(Kind kind, const std::string& message)
      : Error(ExitStatus::kFailed, message), kind_(kind) {}

  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

}  // namespace kcni::http
