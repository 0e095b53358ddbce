// The API server's verbs, with the retries that are safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/http/session.h"
#include "common/kube/api_error.h"
#include "common/kube/config.h"
#include "common/kube/json.h"
#include "common/kube/resource.h"

namespace kcni::kube {

struct ClientOptions {
  Milliseconds request_timeout{0};  ///< --request-timeout, for each request; 0: none
  int chunk_size = 500;             ///< --chunk-size; 0: lists in one piece
  std::string field_manager = "kubectl-cni";
  std::string user_agent = "kubectl-cni";
  bool dry_run = false;    ///< dryRun=All on every write
  bool read_only = false;  ///< a write is a bug: --dry-run=client must not send any
  std::function<void(const std::string&)> warn;      ///< the server's Warning: headers
  std::function<void(int, const std::string&)> log;  ///< level and line, for -v
};

enum class PatchType { kMerge, kStrategic, kJson };

/// What a list or watch is about.
struct Query {
  const Resource* resource = nullptr;
  std::string ns;  ///< empty: all namespaces
  std::string label_selector;
  std::string field_selector;
  bool metadata_only = false;  ///< PartialObjectMetadata: labels and owners without spec and status
  /// Lists drop metadata.managedFields page by page: half of what a Service weighs, and the server
  /// cannot be asked to leave them out.
  bool without_managed_fields = false;
};

/// metav1.DeleteOptions.
struct DeleteOptions {
  std::string uid;               ///< precondition; empty: none
  std::string resource_version;  ///< precondition; empty: none
  std::optional<long> grace_period_seconds;
  std::string propagation_policy;  ///< empty: the resource's default
};

struct List {
  std::vector<Json> items;
  std::string resource_version;
  /// A continue token had expired and the rest was read from a newer state: fine to plan from, not
  /// to start a watch at.
  bool inconsistent = false;
};

/// One identity at one server. Copies are cheap views of the same connection; shielded() and
/// until() give views whose requests differ in that. Everything throws http::TransportError,
/// TimedOut and Interrupted besides what is said.
class Client {
 public:
  Client(http::Loop& loop, ClientConfig config, ClientOptions options);

  /// A view whose requests Ctrl-C does not break off.
  Client shielded() const;
  /// A view whose requests are given up at the deadline.
  Client until(Deadline deadline) const;
  /// A view with this deadline in place of its own: to find out why the other one passed.
  Client instead_until(Deadline deadline) const;
  /// A view whose writes are only tried (dryRun=All).
  Client trying() const;
  /// A view that keeps the server's warnings to itself, where they are not about what the user
  /// does.
  Client quiet() const;

  /// GET; 404 included among the answers.
  Task<Answer> get(const Resource& resource, std::string ns, std::string name) const;
  /// All pages. Throws ApiError.
  Task<List> list(Query query, bool in_pages = true) const;
  Task<Answer> create(const Resource& resource, std::string ns, Json object) const;
  /// Sent again after a broken connection only when the patch carries a resourceVersion or is
  /// said to be idempotent (a merge patch that sets plain values is).
  Task<Answer> patch(const Resource& resource, std::string ns, std::string name, PatchType type,
                     Json patch, bool metadata_only = false) const;
  /// The subresource status.
  Task<Answer> patch_status(const Resource& resource, std::string ns, std::string name,
                            PatchType type, Json patch) const;
  Task<Answer> remove(const Resource& resource, std::string ns, std::string name,
                      DeleteOptions options) const;
  /// policy/v1 Eviction. A 429 comes back as it is: it says that a budget blocks.
  Task<Answer> evict(std::string ns, std::string pod, DeleteOptions options) const;
  /// After a 401: true when asking again with new credentials may help.
  bool refresh_credentials() const;
  /// What a pod's only container has printed, in Answer::text; a mebibyte at the most.
  Task<Answer> log(std::string ns, std::string pod) const;
  /// Any other path, for reading.
  Task<Answer> get_raw(std::string path) const;

  /// A watch's stream; list_then_watch() in watch.h is what commands use.
  Task<std::unique_ptr<http::Transfer>> watch(Query query, std::string resource_version) const;

  http::Loop& loop() const;
  const ClientOptions& options() const;
  Deadline deadline() const { return deadline_; }
  http::OnInterrupt on_interrupt() const { return on_interrupt_; }
  bool dry_run() const;
  /// Parses an answer that came in a stream.
  static Answer answer_of(const http::Response& response);

 private:
  struct Shared;
  /// What may be sent again when nobody knows whether it arrived.
  enum class Repeat { kAlways, kOnlyIfUnsent };

  http::Request make_request(std::string method, std::string path) const;
  http::Request make_write(std::string method, std::string path) const;
  http::Request make_patch(const std::string& path, PatchType type, const Json& patch) const;
  void add_identity(http::Request& request) const;
  Task<Answer> call(http::Request request, Repeat repeat, bool retry_429 = true) const;
  Task<http::Response> send_logged(http::Request request) const;
  static std::optional<Milliseconds> pause_before_retry(const Answer& answer, int attempt,
                                                        Repeat repeat);
  void pass_warnings(const http::Response& response) const;
  std::string write_query() const;

  std::shared_ptr<Shared> shared_;
  http::OnInterrupt on_interrupt_ = http::OnInterrupt::kThrow;
  Deadline deadline_ = Deadline::never();
  bool trying_ = false;
  bool quiet_ = false;
};

/// A pause of about this length, so that many clients do not come back at once.
Milliseconds with_jitter(Milliseconds pause);
/// The same for a Retry-After, before which the server does not want to be asked.
Milliseconds no_sooner(Milliseconds pause);

}  // namespace kcni::kube
