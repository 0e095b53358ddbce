// Credentials that are a token, or nothing.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <optional>
#include <string>

#include "common/base/deadline.h"
#include "common/kube/credentials.h"

namespace kcni::kube {

class NoCredentials : public Credentials {
 public:
  std::optional<std::string> bearer_token() override { return std::nullopt; }
};

class FixedToken : public Credentials {
 public:
  explicit FixedToken(std::string token) : token_(std::move(token)) {}
  std::optional<std::string> bearer_token() override { return token_; }

 private:
  std::string token_;
};

/// A token that something else renews, such as the kubelet a service account's. Looks at the file
/// at each call and reads it when it changed, or was read a minute ago. While it cannot be read,
/// the last token, or else `fallback` (if not empty), goes on being used.
class TokenFile : public Credentials {
 public:
  TokenFile(std::string path, std::string fallback, std::string whose);

  std::optional<std::string> bearer_token() override;
  bool refresh() override;

 private:
  /// What changes when a file is written or replaced.
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::chrono::nanoseconds modified{0};
    bool operator==(const Stamp&) const = default;
  };

  Stamp stamp() const;
  std::string read() const;
  void update();

  std::string path_;
  std::string whose_;
  std::string token_;
  Stamp stamp_;
  std::optional<Clock::time_point> read_at_;
  std::optional<Clock::time_point> changed_at_;
};

}  // namespace kcni::kube
