#include "common/kube/client.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <random>

namespace kcni::kube {

namespace {

constexpr int kMaxAttempts = 10;  // client-go's number
constexpr const char* kJsonType = "application/json";

const char* content_type(PatchType type) {
  switch (type) {
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kStrategic:
      return "application/strategic-merge-patch+json";
    case PatchType::kJson:
      return "application/json-patch+json";
  }
  return kJsonType;
}

Milliseconds backoff(int attempt) {
  return Milliseconds(std::min(200L << std::min(attempt, 6), 10'000L));
}

std::string query_string(const Query& query) {
  std::string result = "?";
  if (!query.label_selector.empty())
    result += "labelSelector=" + escape(query.label_selector) + "&";
  if (!query.field_selector.empty())
    result += "fieldSelector=" + escape(query.field_selector) + "&";
  return result;
}

// https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables (as=)
std::string accept_metadata(const char* kind) {
  return fmt::format("Accept: application/json;as={};g=meta.k8s.io;v=v1,application/json", kind);
}

// A DELETE with a body is judged by that alone: dryRun in the query would be ignored.
Json delete_body(const DeleteOptions& options, bool dry_run) {
  Json body = {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  if (dry_run) body["dryRun"] = Json::array({"All"});
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) {
    body["preconditions"]["resourceVersion"] = options.resource_version;
  }
  if (options.grace_period_seconds) body["gracePeriodSeconds"] = *options.grace_period_seconds;
  if (!options.propagation_policy.empty()) body["propagationPolicy"] = options.propagation_policy;
  return body;
}

}  // namespace

struct Client::Shared {
  Shared(http::Loop& loop, ClientConfig client_config, ClientOptions client_options)
      : config(std::move(client_config)),
        options(std::move(client_options)),
        session(loop, config.endpoint) {}

  ClientConfig config;
  ClientOptions options;
  http::Session session;
  bool reached = false;  ///< the server has answered before: a refused connection may be a restart
};

namespace {

Milliseconds scaled(Milliseconds pause, double least, double most) {
  static std::minstd_rand generator{std::random_device{}()};
  std::uniform_real_distribution<double> share(least, most);
  return std::chrono::duration_cast<Milliseconds>(pause * share(generator));
}

}  // namespace

Milliseconds with_jitter(Milliseconds pause) {
  return scaled(pause, 0.75, 1.25);
}

Milliseconds no_sooner(Milliseconds pause) {
  return scaled(pause, 1.0, 1.25) + Milliseconds(50);
}

Client::Client(http::Loop& loop, ClientConfig config, ClientOptions options)
    : shared_(std::make_shared<Shared>(loop, std::move(config), std::move(options))) {}

Client Client::shielded() const {
  Client view = *this;
  view.on_interrupt_ = http::OnInterrupt::kGoOn;
  return view;
}

Client Client::until(Deadline deadline) const {
  Client view = *this;
  view.deadline_ = deadline_.earlier(deadline);
  return view;
}

Client Client::instead_until(Deadline deadline) const {
  Client view = *this;
  view.deadline_ = deadline;
  return view;
}

Client Client::trying() const {
  Client view = *this;
  view.trying_ = true;
  return view;
}

Client Client::quiet() const {
  Client view = *this;
  view.quiet_ = true;
  return view;
}

bool Client::dry_run() const {
  return trying_ || shared_->options.dry_run;
}

bool Client::refresh_credentials() const {
  return shared_->config.credentials->refresh();
}

http::Loop& Client::loop() const {
  return shared_->session.loop();
}

const ClientOptions& Client::options() const {
  return shared_->options;
}

http::Request Client::make_request(std::string method, std::string path) const {
  http::Request request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.on_interrupt = on_interrupt_;
  request.deadline = deadline_.earlier(Deadline::after(shared_->options.request_timeout));
  request.headers = {fmt::format("Accept: {}", kJsonType),
                     "User-Agent: " + shared_->options.user_agent};
  return request;
}

// The last line of defence behind --dry-run: whatever a command forgot, nothing is sent.
http::Request Client::make_write(std::string method, std::string path) const {
  if (shared_->options.read_only) {
    throw failed(fmt::format("bug: {} {} in a dry run; nothing was sent", method, path));
  }
  auto request = make_request(std::move(method), std::move(path));
  request.headers.push_back(fmt::format("Content-Type: {}", kJsonType));
  return request;
}

void Client::add_identity(http::Request& request) const {
  auto& config = shared_->config;
  if (auto token = config.credentials->bearer_token()) {
    request.headers.push_back("Authorization: Bearer " + *token);
  }
  if (auto pair = config.credentials->client_certificate()) {
    auto& endpoint = shared_->session.endpoint();
    request.fresh_connection |= endpoint.cert_pem && *endpoint.cert_pem != pair->first;
    endpoint.cert_pem = pair->first;
    endpoint.key_pem = pair->second;
  }
  const auto& as = config.impersonation;
  if (!as.user.empty()) request.headers.push_back("Impersonate-User: " + as.user);
  if (!as.uid.empty()) request.headers.push_back("Impersonate-Uid: " + as.uid);
  for (const auto& group : as.groups) request.headers.push_back("Impersonate-Group: " + group);
  for (const auto& [key, value] : as.extra) {
    request.headers.push_back(fmt::format("Impersonate-Extra-{}: {}", escape(key), value));
  }
}

Answer Client::answer_of(const http::Response& response) {
  Answer answer;
  answer.status = response.status;
  answer.body = Json::parse(response.body, nullptr, false);
  if (answer.body.is_discarded()) {
    answer.body = Json::object();
    answer.text = response.body;
  }
  auto after = response.header("retry-after");
  int seconds = 0;
  auto [end, error] = std::from_chars(after.data(), after.data() + after.size(), seconds);
  if (error == std::errc() && end != after.data() && seconds >= 0) {
    answer.retry_after = std::chrono::seconds(seconds);
  }
  return answer;
}

void Client::pass_warnings(const http::Response& response) const {
  if (!shared_->options.warn || quiet_) return;
  for (const auto& warning : response.all_headers("warning")) {
    auto start = warning.find('"');
    auto end = warning.rfind('"');
    if (start == std::string::npos || end <= start) continue;
    shared_->options.warn(warning.substr(start + 1, end - start - 1));
  }
}

Task<http::Response> Client::send_logged(http::Request request) const {
  auto start = Clock::now();
  std::string what = request.method + " " + request.path;
  http::Response response = co_await shared_->session.send(std::move(request));
  shared_->reached = true;
  if (shared_->options.log) {
    auto took = std::chrono::duration_cast<Milliseconds>(Clock::now() - start).count();
    shared_->options.log(6, fmt::format("{} {} in {} milliseconds", what, response.status, took));
  }
  pass_warnings(response);
  co_return response;
}

std::optional<Milliseconds> Client::pause_before_retry(const Answer& answer, int attempt,
                                                       Repeat repeat) {
  bool overloaded = answer.too_many_requests() || answer.status >= 500;
  if (!overloaded || attempt + 1 >= kMaxAttempts) return std::nullopt;
  // As client-go: a Retry-After says that nothing was done. Without one only reading is repeated,
  // and not for long (an etcd leader change is over in a second).
  if (answer.retry_after) return no_sooner(*answer.retry_after);
  if (repeat == Repeat::kAlways && answer.status >= 500 && attempt < 3) return backoff(attempt);
  return std::nullopt;
}

Task<Answer> Client::call(http::Request request, Repeat repeat, bool retry_429) const {
  bool refreshed = false, may_be_done = false;
  for (int attempt = 0;; ++attempt) {
    http::Request copy = request;
    add_identity(copy);
    copy.fresh_connection |= request.fresh_connection;
    std::optional<Milliseconds> pause;
    try {
      http::Response response = co_await send_logged(std::move(copy));
      Answer answer = answer_of(response);
      answer.sent_again = may_be_done;
      if (answer.status == 401 && !refreshed && shared_->config.credentials->refresh()) {
        refreshed = true;
        continue;
      }
      if (answer.ok() || (answer.too_many_requests() && !retry_429)) co_return answer;
      pause = pause_before_retry(answer, attempt, repeat);
      if (!pause) co_return answer;
      may_be_done |= answer.status >= 500;
    } catch (const http::TransportError& error) {
      bool unsent = error.kind() == http::TransportError::Kind::kUnreachable;
      bool dropped = error.kind() == http::TransportError::Kind::kDropped;
      bool again = (unsent && shared_->reached) || (dropped && repeat == Repeat::kAlways);
      if (!again || attempt + 1 >= kMaxAttempts) throw;
      may_be_done |= dropped;
      request.fresh_connection = true;
      pause = with_jitter(backoff(attempt));
    }
    if (auto left = request.deadline.left()) pause = std::min(*pause, *left);
    co_await loop().sleep(*pause, on_interrupt_);
    if (request.deadline.passed()) throw TimedOut("the server kept asking to try again later");
  }
}

Task<Answer> Client::get_raw(std::string path) const {
  auto request = make_request("GET", std::move(path));
  co_return co_await call(std::move(request), Repeat::kAlways);
}

Task<Answer> Client::log(std::string ns, std::string pod) const {
  co_return co_await get_raw(kPods.path(ns, pod) + "/log?limitBytes=1048576");
}

Task<Answer> Client::get(const Resource& resource, std::string ns, std::string name) const {
  co_return co_await get_raw(resource.path(ns, name));
}

std::string Client::write_query() const {
  std::string result = "?fieldManager=" + escape(shared_->options.field_manager);
  if (dry_run()) result += "&dryRun=All";
  return result;
}

Task<Answer> Client::create(const Resource& resource, std::string ns, Json object) const {
  auto request = make_write("POST", resource.path(ns) + write_query());
  request.body = object.dump();
  co_return co_await call(std::move(request), Repeat::kOnlyIfUnsent);
}

http::Request Client::make_patch(const std::string& path, PatchType type, const Json& patch) const {
  auto request = make_write("PATCH", path + write_query());
  request.headers.back() = fmt::format("Content-Type: {}", content_type(type));
  request.body = patch.dump();
  return request;
}

// Merge patches set values, so sending one twice is sending it once; a JSON patch need not be.
Task<Answer> Client::patch(const Resource& resource, std::string ns, std::string name,
                           PatchType type, Json patch, bool metadata_only) const {
  auto request = make_patch(resource.path(ns, name), type, patch);
  if (metadata_only) request.headers[0] = accept_metadata("PartialObjectMetadata");
  auto repeat = type == PatchType::kJson ? Repeat::kOnlyIfUnsent : Repeat::kAlways;
  co_return co_await call(std::move(request), repeat);
}

Task<Answer> Client::patch_status(const Resource& resource, std::string ns, std::string name,
                                  PatchType type, Json patch) const {
  auto request = make_patch(resource.path(ns, name) + "/status", type, patch);
  auto repeat = type == PatchType::kJson ? Repeat::kOnlyIfUnsent : Repeat::kAlways;
  co_return co_await call(std::move(request), repeat);
}

Task<Answer> Client::remove(const Resource& resource, std::string ns, std::string name,
                            DeleteOptions options) const {
  auto tried = dry_run() ? "?dryRun=All" : "";
  auto request = make_write("DELETE", resource.path(ns, name) + tried);
  request.body = delete_body(options, dry_run()).dump();
  auto repeat = options.uid.empty() ? Repeat::kOnlyIfUnsent : Repeat::kAlways;
  co_return co_await call(std::move(request), repeat);
}

Task<Answer> Client::evict(std::string ns, std::string pod, DeleteOptions options) const {
  auto tried = dry_run() ? "?dryRun=All" : "";
  auto request = make_write("POST", kPods.path(ns, pod) + "/eviction" + tried);
  Json body = {{"apiVersion", "policy/v1"}, {"kind", "Eviction"}};
  body["metadata"] = {{"name", pod}, {"namespace", ns}};
  body["deleteOptions"] = delete_body(options, dry_run());
  request.body = body.dump();
  auto repeat = options.uid.empty() ? Repeat::kOnlyIfUnsent : Repeat::kAlways;
  co_return co_await call(std::move(request), repeat, /*retry_429=*/false);
}

Task<List> Client::list(Query query, bool in_pages) const {
  List result;
  std::string base = query.resource->path(query.ns) + query_string(query);
  int chunk = in_pages ? shared_->options.chunk_size : 0;
  std::string token;
  do {
    std::string page = base;
    if (chunk > 0) page += fmt::format("limit={}&", chunk);
    if (!token.empty()) page += "continue=" + escape(token);
    auto request = make_request("GET", page);
    if (query.metadata_only) request.headers[0] = accept_metadata("PartialObjectMetadataList");
    Answer answer = co_await call(std::move(request), Repeat::kAlways);
    if (answer.status == 410 && !token.empty()) {
      // The token outlived etcd's compaction; the Status brings one that goes on from the same
      // key in today's state (apimachinery: NewResourceExpired with continue).
      token = text_at(answer.body, "/metadata/continue");
      result.inconsistent = true;
      if (token.empty()) co_return co_await list(std::move(query), false);
      continue;
    }
    Json body = body_or_throw(std::move(answer));
    result.resource_version = text_at(body, "/metadata/resourceVersion");
    token = text_at(body, "/metadata/continue");
    for (auto& item : body["items"]) {
      if (!item.contains("kind") && !query.metadata_only) {
        item["kind"] = query.resource->kind;
        item["apiVersion"] = query.resource->api_version();
      }
      if (query.without_managed_fields) item["metadata"].erase("managedFields");
      result.items.push_back(std::move(item));
    }
  } while (!token.empty());
  co_return result;
}

Task<std::unique_ptr<http::Transfer>> Client::watch(Query query,
                                                    std::string resource_version) const {
  // The server ends watches after 30–60 minutes anyway; ours end sooner, so that a connection
  // that lies dead behind a load balancer is noticed.
  std::string path = query.resource->path(query.ns) + query_string(query) +
                     "watch=1&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion=" +
                     escape(resource_version);
  auto request = make_request("GET", path);
  request.deadline = deadline_;
  if (query.metadata_only) request.headers[0] = accept_metadata("PartialObjectMetadata");
  add_identity(request);
  if (shared_->options.log) shared_->options.log(6, "GET " + path + " (watch)");
  co_return shared_->session.open(std::move(request));
}

}  // namespace kcni::kube
