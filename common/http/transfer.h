// One request under way: the owner of one CURL easy handle.
#pragma once

#include <curl/curl.h>

#include <array>
#include <deque>
#include <optional>
#include <string>

#include "common/http/endpoint.h"
#include "common/http/loop.h"
#include "common/http/request.h"

namespace kcni::http {

/// Starts in the constructor, is aborted by the destructor when still under way. Body data goes to
/// response().body, or, for a stream, into lines.
class Transfer : private TransferObserver {
 public:
  enum class Mode { kWhole, kLines };

  Transfer(Loop& loop, const Endpoint& endpoint, Request request, Mode mode);
  ~Transfer() override;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Waits for the end. Throws TransportError, TimedOut (the request's deadline), Interrupted.
  Task<> finish();

  /// Waits until take_line() has something (true) or the stream has ended (false), which it also
  /// does when the answer is an error status: its body is then in response(). Throws as finish().
  Task<bool> wait_for_lines();
  /// The next line of a stream without its newline; nullopt when none is there yet.
  std::optional<std::string> take_line();

  const Response& response() const { return response_; }
  Response take_response() { return std::move(response_); }

 private:
  void configure(const Endpoint& endpoint);
  void configure_body();
  void configure_tls(const Endpoint& endpoint);
  void configure_target(const Endpoint& endpoint);
  void transfer_done(CURLcode result) override;
  void accept_data(const char* data, std::size_t size);
  void accept_header(std::string line);
  void split_lines();
  Task<> wait();
  [[noreturn]] void throw_error() const;

  static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* self);
  static int once_only(void* self, char*, char*, int, int);
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);

  Loop& loop_;
  Request request_;
  Mode mode_;
  CURL* easy_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  std::string url_;
  std::string server_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  Response response_;
  std::string partial_line_;
  std::deque<std::string> lines_;
  Waiter waiter_;
  bool sent_ = false;
  bool done_ = false;
  CURLcode result_ = CURLE_OK;
};

}  // namespace kcni::http
