// Checks of secrets before they are used, so that a wrong file is named instead of a TLS error.
#pragma once

#include <string>

namespace kcni::kube {

// Each throws Error (kFailed) "<what> …" with nothing of the text in the message.

/// A token must be something that fits into a header.
void require_token(const std::string& token, const std::string& what);

/// The text must hold a PEM certificate, or a PEM private key.
void require_certificate(const std::string& pem, const std::string& what);
void require_private_key(const std::string& pem, const std::string& what);

}  // namespace kcni::kube
