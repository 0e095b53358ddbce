#include "common/http/transfer.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "common/base/text.h"

namespace kcni::http {

namespace {

curl_blob blob_of(const std::string& text) {
  return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
}

/// A peer that vanished without a word ends the connection after half a minute, also while a
/// watch is silent. client-go pings instead, which takes HTTP/2.
int on_socket(void*, curl_socket_t socket, curlsocktype) {
  unsigned int unacknowledged_ms = 30'000;
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
  return CURL_SOCKOPT_OK;
}

TransportError::Kind kind_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:  // a balancer whose server is away; a certificate is 60 or 58
      return TransportError::Kind::kUnreachable;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_ABORTED_BY_CALLBACK:  // once_only()
      return TransportError::Kind::kDropped;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return TransportError::Kind::kUntrusted;
    default:
      return TransportError::Kind::kOther;
  }
}

const char* advice_for(TransportError::Kind kind) {
  switch (kind) {
    case TransportError::Kind::kUnreachable:
      return "; is the server running, and is its address in the kubeconfig right?";
    case TransportError::Kind::kUntrusted:
      return "; check certificate-authority and client-certificate of the kubeconfig";
    default:
      return "";
  }
}

}  // namespace

Transfer::Transfer(Loop& loop, const Endpoint& endpoint, Request request, Mode mode)
    : loop_(loop),
      request_(std::move(request)),
      mode_(mode),
      easy_(curl_easy_init()),
      server_(endpoint.base_url),
      waiter_(loop, request_.deadline, request_.on_interrupt) {
  if (!easy_) throw failed("curl_easy_init failed");
  configure(endpoint);
  loop_.add(easy_);
}

Transfer::~Transfer() {
  loop_.remove(easy_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(connect_to_);
}

void Transfer::configure(const Endpoint& endpoint) {
  curl_easy_setopt(easy_, CURLOPT_PRIVATE, static_cast<TransferObserver*>(this));
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_text_.data());
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  // Not HTTP/2: where several large answers share a connection, curl 7.88 (Debian 12) now and then
  // forgets one that it has read already, for a second or for good (tests/bench/run).
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  // What is sent is small: the least, not 64 KiB for each of many at a time.
  curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, 16'384L);
  curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, request_.fresh_connection ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPIDLE, 15L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPINTVL, 5L);
  curl_easy_setopt(easy_, CURLOPT_SOCKOPTFUNCTION, &on_socket);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(endpoint.connect_timeout.count()));
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Transfer::on_data);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_PREREQFUNCTION, &Transfer::once_only);
  curl_easy_setopt(easy_, CURLOPT_PREREQDATA, this);
  if (endpoint.compression) curl_easy_setopt(easy_, CURLOPT_ACCEPT_ENCODING, "gzip");
  if (!endpoint.proxy_url.empty()) {
    curl_easy_setopt(easy_, CURLOPT_PROXY, endpoint.proxy_url.c_str());
  }
  configure_tls(endpoint);
  configure_target(endpoint);
  configure_body();
}

void Transfer::configure_tls(const Endpoint& endpoint) {
  if (endpoint.insecure) {
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (endpoint.ca_pem) {
    auto blob = blob_of(*endpoint.ca_pem);
    curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (endpoint.cert_pem && endpoint.key_pem) {
    auto cert = blob_of(*endpoint.cert_pem);
    auto key = blob_of(*endpoint.key_pem);
    curl_easy_setopt(easy_, CURLOPT_SSLCERTTYPE, "PEM");
    curl_easy_setopt(easy_, CURLOPT_SSLCERT_BLOB, &cert);
    curl_easy_setopt(easy_, CURLOPT_SSLKEYTYPE, "PEM");
    curl_easy_setopt(easy_, CURLOPT_SSLKEY_BLOB, &key);
  }
}

void Transfer::configure_target(const Endpoint& endpoint) {
  for (const auto& header : request_.headers) {
    headers_ = curl_slist_append(headers_, header.c_str());
  }
  url_ = endpoint.base_url + request_.path;
  if (!endpoint.tls_server_name.empty()) {
    // curl takes SNI and the verified name from the URL only, so the name goes there, and the
    // real host into CONNECT_TO and the Host header.
    auto scheme_end = endpoint.base_url.find("://") + 3;
    auto authority_end =
        std::min(endpoint.base_url.find('/', scheme_end), endpoint.base_url.size());
    auto authority = endpoint.base_url.substr(scheme_end, authority_end - scheme_end);
    auto colon = authority.rfind(':');
    bool has_port = colon != std::string::npos && authority.find(']', colon) == std::string::npos;
    auto port = has_port ? authority.substr(colon) : std::string(":443");
    url_ = "https://" + endpoint.tls_server_name + port + endpoint.base_url.substr(authority_end) +
           request_.path;
    connect_to_ = curl_slist_append(
        nullptr, ("::" + authority.substr(0, has_port ? colon : authority.size()) + port).c_str());
    curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
    headers_ = curl_slist_append(headers_, ("Host: " + authority).c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_URL, url_.c_str());
}

void Transfer::configure_body() {
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  if (!request_.body.empty()) {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.c_str());
    headers_ = curl_slist_append(headers_, "Expect:");
  }
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
}

std::size_t Transfer::on_data(char* data, std::size_t size, std::size_t count, void* self) {
  static_cast<Transfer*>(self)->accept_data(data, size * count);
  return size * count;
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  static_cast<Transfer*>(self)->accept_header(std::string(data, size * count));
  return size * count;
}

// Where a connection that was used before breaks without an answer, curl sends the request again by
// itself, whatever it is: a DELETE that had been done would then be answered with 404, as if
// somebody else had done it. Whether to send it again is for those to say who know what it is.
int Transfer::once_only(void* self, char*, char*, int, int) {
  auto& transfer = *static_cast<Transfer*>(self);
  return std::exchange(transfer.sent_, true) ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

void Transfer::accept_data(const char* data, std::size_t size) {
  if (response_.status == 0) {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
  }
  if (mode_ == Mode::kWhole || response_.status >= 300) {
    response_.body.append(data, size);
    return;
  }
  partial_line_.append(data, size);
  split_lines();
}

void Transfer::split_lines() {
  std::size_t start = 0;
  for (std::size_t end; (end = partial_line_.find('\n', start)) != std::string::npos;
       start = end + 1) {
    if (end > start) lines_.push_back(partial_line_.substr(start, end - start));
  }
  partial_line_.erase(0, start);
  if (!lines_.empty()) waiter_.ready();
}

void Transfer::accept_header(std::string line) {
  auto colon = line.find(':');
  if (colon == std::string::npos) return;
  std::string name = lower(line.substr(0, colon));
  auto first = line.find_first_not_of(" \t", colon + 1);
  auto last = line.find_last_not_of(" \t\r\n");
  if (first == std::string::npos || last < first) return;
  response_.headers.emplace_back(std::move(name), line.substr(first, last - first + 1));
}

void Transfer::transfer_done(CURLcode result) {
  done_ = true;
  result_ = result;
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  waiter_.ready();
}

Task<> Transfer::wait() {
  auto outcome = co_await waiter_;
  if (outcome == Waiter::Outcome::kTimedOut) {
    throw TimedOut(fmt::format("{} did not answer in time", server_));
  }
}

Task<> Transfer::finish() {
  while (!done_) co_await wait();
  if (result_ != CURLE_OK) throw_error();
}

Task<bool> Transfer::wait_for_lines() {
  while (lines_.empty() && !done_) co_await wait();
  if (lines_.empty() && result_ != CURLE_OK) throw_error();
  co_return !lines_.empty();
}

std::optional<std::string> Transfer::take_line() {
  if (lines_.empty()) return std::nullopt;
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

void Transfer::throw_error() const {
  std::string reason = error_text_[0] ? error_text_.data() : curl_easy_strerror(result_);
  if (result_ == CURLE_ABORTED_BY_CALLBACK) reason = "the connection broke before an answer came";
  auto kind = kind_of(result_);
  // curl tells a connect timeout and a request timeout by the same code; only the former is ours.
  if (result_ == CURLE_OPERATION_TIMEDOUT) kind = TransportError::Kind::kUnreachable;
  throw TransportError(
      kind, fmt::format("cannot talk to the server {}: {}{}", server_, reason, advice_for(kind)));
}

}  // namespace kcni::http
