#include "common/kube/watch.h"

#include <fmt/format.h>

namespace kcni::kube {

namespace {

enum class End { kSatisfied, kResume, kRelist };

/// What a watch has to carry from one connection to the next.
struct State {
  Snapshot snapshot;
  std::string resource_version;
  int failures = 0;  ///< connections in a row that brought nothing
};

// Applies one event; true when the watch must start over with a list.
bool apply(State& state, Json event) {
  auto type = text_at(event, "/type");
  Json& object = event["object"];
  if (type == "ERROR") {
    auto code = number_at(object, "/code", 500);
    // Expired, or a server in trouble: as client-go, a new list tells.
    if (code == 410 || code == 429 || code >= 500) return true;
    throw ApiError(Answer{static_cast<int>(number_at(object, "/code", 500)), object, {}});
  }
  state.resource_version = text_at(object, "/metadata/resourceVersion", state.resource_version);
  if (type == "DELETED") {
    state.snapshot.erase(key_of(object));
  } else if (type != "BOOKMARK") {
    auto key = key_of(object);  // first, for the right side of an assignment is evaluated first
    state.snapshot[key] = std::move(object);
  }
  return false;
}

Task<End> follow(Client client, Query query, State& state, const Until& until) {
  auto stream = co_await client.watch(query, state.resource_version);
  while (true) {
    bool more = co_await stream->wait_for_lines();
    if (!more) break;
    while (auto line = stream->take_line()) {
      Json event = Json::parse(*line, nullptr, false);
      if (event.is_discarded()) co_return End::kResume;
      if (apply(state, std::move(event))) co_return End::kRelist;
    }
    state.failures = 0;
    if (until(state.snapshot)) co_return End::kSatisfied;
  }
  Answer answer = Client::answer_of(stream->response());
  if (answer.status == 410) co_return End::kRelist;
  bool later = answer.too_many_requests() || answer.status >= 500 ||
               (answer.status == 401 && client.refresh_credentials());
  if (!answer.ok() && !later) throw ApiError(std::move(answer));
  co_return End::kResume;
}

Task<End> follow_or_drop(Client client, Query query, State& state, const Until& until) {
  try {
    co_return co_await follow(client, std::move(query), state, until);
  } catch (const http::TransportError& error) {
    if (error.kind() == http::TransportError::Kind::kUntrusted) throw;
  }
  co_return End::kResume;
}

Task<> relist(Client client, Query query, State& state) {
  List list = co_await client.list(query);
  if (list.inconsistent) list = co_await client.list(query, /*in_pages=*/false);
  state.snapshot.clear();
  for (auto& item : list.items) {
    auto key = key_of(item);
    state.snapshot[key] = std::move(item);
  }
  state.resource_version = list.resource_version;
}

}  // namespace

Task<> list_then_watch(Client client, Query query, Until until) {
  State state;
  End end = End::kRelist;
  while (true) {
    if (end == End::kRelist) {
      co_await relist(client, query, state);
      if (until(state.snapshot)) co_return;
    }
    end = co_await follow_or_drop(client, query, state, until);
    if (end == End::kSatisfied) co_return;
    // The first reconnect is at once; a server that keeps hanging up is given time.
    auto pause = Milliseconds(state.failures == 0 ? 0 : std::min(500 * state.failures, 5000));
    ++state.failures;
    co_await client.loop().sleep(with_jitter(pause), client.on_interrupt());
    if (client.deadline().passed()) throw TimedOut("timed out while waiting");
  }
}

}  // namespace kcni::kube
