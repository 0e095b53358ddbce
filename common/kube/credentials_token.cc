#include "common/kube/credentials_token.h"

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/file.h"
#include "common/kube/pem.h"

namespace kcni::kube {

namespace {

constexpr auto kReadAtLeastEvery = std::chrono::minutes(1);

/// Many requests in flight get their 401s one after another: for that long after a new token,
/// a 401 is taken to be the old one's.
constexpr auto kSettling = std::chrono::seconds(10);

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

TokenFile::TokenFile(std::string path, std::string fallback, std::string whose)
    : path_(std::move(path)), whose_(std::move(whose)), token_(std::move(fallback)) {}

TokenFile::Stamp TokenFile::stamp() const {
  struct stat info {};
  if (stat(path_.c_str(), &info) != 0) return {};
  return {
      info.st_dev, info.st_ino, info.st_size,
      std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec)};
}

std::string TokenFile::read() const {
  auto token = trimmed(read_file(path_, fmt::format("tokenFile of {},", whose_)));
  require_token(token, fmt::format("tokenFile of {}, {},", whose_, path_));
  return token;
}

void TokenFile::update() {
  const auto now = Clock::now();
  stamp_ = stamp();
  try {
    auto token = read();
    if (read_at_ && token != token_) changed_at_ = now;
    token_ = std::move(token);
  } catch (const Error&) {
    if (token_.empty()) throw;
  }
  read_at_ = now;
}

std::optional<std::string> TokenFile::bearer_token() {
  const bool stale = !read_at_ || Clock::now() - *read_at_ >= kReadAtLeastEvery;
  if (stale || stamp() != stamp_) update();
  return token_;
}

bool TokenFile::refresh() {
  update();
  return changed_at_ && Clock::now() - *changed_at_ < kSettling;
}

}  // namespace kcni::kube
