#include "common/kube/pem.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/error.h"

namespace kcni::kube {

void require_token(const std::string& token, const std::string& what) {
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (token.empty()) throw failed(fmt::format("{} is empty", what));
  if (!printable) throw failed(fmt::format("{} has characters that no token has", what));
}

void require_certificate(const std::string& pem, const std::string& what) {
  if (pem.find("-----BEGIN CERTIFICATE-----") != std::string::npos) return;
  throw failed(fmt::format("{} holds no PEM certificate (no BEGIN CERTIFICATE)", what));
}

void require_private_key(const std::string& pem, const std::string& what) {
  const auto begin = pem.find("-----BEGIN ");
  const auto end = pem.find("PRIVATE KEY-----", begin == std::string::npos ? 0 : begin);
  if (begin != std::string::npos && end != std::string::npos) return;
  throw failed(fmt::format("{} holds no PEM private key (no BEGIN … PRIVATE KEY)", what));
}

}  // namespace kcni::kube
