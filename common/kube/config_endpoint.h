// From the selected entries to a server's address, trust and identity: files are read here.
#pragma once

#include <memory>
#include <string>

#include "common/http/endpoint.h"
#include "common/kube/config_select.h"
#include "common/kube/credentials.h"

namespace kcni::kube {

/// "https://host:port[/prefix]" without query and last slash; http is put before a bare host, as
/// client-go does. Throws Error (kFailed) naming `whose` for what is no http(s) URL, or one with a
/// user name in it.
std::string normalize_server(const std::string& server, const std::string& whose);

/// The proxy as libcurl wants it: http and https as they are, socks5 with the proxy resolving host
/// names, as Go does. Throws Error (kFailed) naming `whose` for others.
std::string normalize_proxy(const std::string& url, const std::string& whose);

/// Reads CA, certificate and key. Over plain http nothing of an identity is read or sent.
http::Endpoint make_endpoint(const Selection& selection);

/// Where tokens come from: a token, else its file, else an exec plugin, unless the endpoint has a
/// client certificate. Throws Error (kFailed) for basic auth and auth-provider.
std::shared_ptr<Credentials> make_credentials(const Selection& selection,
                                              const http::Endpoint& endpoint);

}  // namespace kcni::kube
