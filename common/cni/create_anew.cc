#include "common/cni/create_anew.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "common/base/text.h"
#include "common/kube/watch.h"

namespace kcni::cni {

namespace {

using kube::Answer;
using kube::Json;

constexpr Milliseconds kFirstPause{50};
constexpr Milliseconds kLongestPause{1000};
constexpr Milliseconds kTimeAfterInterrupt{60'000};
constexpr Milliseconds kFirstNotice{1'000};
constexpr Milliseconds kNoticePause{30'000};

// A server that has just been started refuses for a moment what it takes afterwards: its
// authorizer, admission ("not yet ready to handle request") and allocators ("allocator not ready")
// are still reading.
constexpr Milliseconds kTimeToMeanIt{10'000};

bool says(const Json& text_owner, const char* pointer, std::string_view words) {
  return kube::text_at(text_owner, pointer).find(words) != std::string::npos;
}

// Every complaint is that an address or port is in use: nothing else is wrong with the object.
bool only_allocations(const Answer& answer) {
  const Json& causes = kube::at(answer.body, "/details/causes");
  if (!causes.is_array() || causes.empty()) {
    return says(answer.body, "/message", "already allocated");
  }
  return std::all_of(causes.begin(), causes.end(), [](const Json& cause) {
    return says(cause, "/message", "already allocated");
  });
}

using Amounts = std::map<std::string, std::string>;

// "services=5,services.nodeports=2" after a word of a quota's complaint.
Amounts amounts_after(const std::string& message, const std::string& word) {
  Amounts amounts;
  auto start = message.find(word);
  if (start == std::string::npos) return amounts;
  start += word.size();
  for (const auto& item : split(message.substr(start, message.find(", ", start) - start), ',')) {
    auto equals = item.find('=');
    if (equals != std::string::npos) amounts[item.substr(0, equals)] = item.substr(equals + 1);
  }
  return amounts;
}

// Of quantities in different units nothing is said.
bool surely_more(const std::string& one, const std::string& other) {
  double first = 0, second = 0;
  auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), first);
  auto [other_end, other_error] =
      std::from_chars(other.data(), other.data() + other.size(), second);
  if (error != std::errc() || other_error != std::errc()) return false;
  return std::string(end) == std::string(other_end) && first > second;
}

// But for one that was asked for and that the server itself does not want.
bool about_made_up_ports(const Answer& answer) {
  auto message = lower(kube::text_at(answer.body, "/message"));
  auto has = [&message](const char* words) { return message.find(words) != std::string::npos; };
  return (has("nodeport") || has("node port")) && !has("provided port is not in the valid range");
}

struct Attempt {
  CreateOutcome outcome = CreateOutcome::kLater;
  Answer answer;
  Json found;            ///< with kExists: the object of that name, or null
  std::string trouble;   ///< why it is to be tried later, for the user
  bool unclear = false;  ///< it may have been made all the same

  bool usable() const {
    return outcome == CreateOutcome::kMade ||
           (outcome == CreateOutcome::kExists && !found.is_null() && !kube::terminating(found));
  }
};

Task<Attempt> try_to_create(kube::Client client, const kube::Resource& resource, Json wanted) {
  Attempt attempt;
  try {
    auto ns = kube::namespace_of(wanted);
    auto name = kube::name_of(wanted);
    attempt.answer = co_await client.create(resource, ns, std::move(wanted));
    attempt.outcome = judge_create(attempt.answer);
    attempt.unclear = attempt.answer.status >= 500;
    attempt.trouble = attempt.answer.message();
    if (attempt.outcome == CreateOutcome::kMade) attempt.found = attempt.answer.body;
    // A Service's own address is taken, too, and that is looked at before its name.
    bool taken = attempt.outcome == CreateOutcome::kTaken;
    if (attempt.outcome != CreateOutcome::kExists && !taken) co_return attempt;
    auto there = co_await client.get(resource, ns, name);
    if (there.ok()) attempt.found = std::move(there.body);
    bool there_already = there.ok() && !kube::terminating(attempt.found);
    if (taken && there_already) attempt.outcome = CreateOutcome::kExists;
  } catch (const http::TransportError& error) {
    // Whether it arrived shows when it is sent again.
    if (error.kind() == http::TransportError::Kind::kUntrusted) throw;
    attempt.outcome = CreateOutcome::kLater;
    attempt.unclear = error.kind() != http::TransportError::Kind::kUnreachable;
    attempt.trouble = error.what();
  } catch (const TimedOut& error) {
    attempt.outcome = CreateOutcome::kLater;
    attempt.unclear = true;
    attempt.trouble = error.what();
  }
  co_return attempt;
}

[[noreturn]] void give_up(Attempt last) {
  if (last.outcome == CreateOutcome::kTaken) throw AddressTaken(last.trouble);
  if (last.outcome == CreateOutcome::kNo) throw kube::ApiError(std::move(last.answer));
  throw TimedOut(last.trouble);
}

// maybe_made: an answer to an earlier try is missing.
Json as_it_should_be(Attempt attempt, const std::string& display, const Difference& difference,
                     bool maybe_made) {
  auto where = difference(attempt.found);
  if (where.empty()) return std::move(attempt.found);
  auto text = fmt::format("{} exists again, but differs in {}", display, where);
  bool made = attempt.outcome == CreateOutcome::kMade || maybe_made;
  throw Differs(text, std::move(attempt.found), std::move(where), made);
}

Milliseconds within(Deadline deadline, Milliseconds pause) {
  auto left = deadline.left();
  return left ? std::min(*left, pause) : pause;
}

}  // namespace

bool fits_after_delete(const std::string& quota_complaint) {
  auto used = amounts_after(quota_complaint, ", used: ");
  auto limited = amounts_after(quota_complaint, ", limited: ");
  return std::none_of(used.begin(), used.end(), [&](const auto& entry) {
    auto limit = limited.find(entry.first);
    return limit != limited.end() && surely_more(entry.second, limit->second);
  });
}

CreateOutcome judge_create(const Answer& answer) {
  if (answer.ok()) return CreateOutcome::kMade;
  if (answer.status == 409) {
    return answer.reason() == "AlreadyExists" ? CreateOutcome::kExists : CreateOutcome::kLater;
  }
  if (answer.status == 422 && only_allocations(answer)) return CreateOutcome::kTaken;
  // As the API server puts it for a healthCheckNodePort.
  bool of_check =
      answer.status == 500 && says(answer.body, "/message", "port is already allocated");
  if (of_check) return CreateOutcome::kTaken;
  bool quota = answer.status == 403 && says(answer.body, "/message", "exceeded quota");
  if (quota || answer.too_many_requests() || answer.status >= 500) return CreateOutcome::kLater;
  return CreateOutcome::kNo;
}

Task<bool> check_creatable(kube::Client client, const kube::Resource& resource, Json wanted) {
  auto ns = kube::namespace_of(wanted);
  auto trying = client.trying().quiet();
  auto answer = co_await trying.create(resource, ns, std::move(wanted));
  auto outcome = judge_create(answer);
  // A dry run makes node ports up where it is asked for none, outside of all ranges; a policy that
  // minds them would not mind the real ones.
  bool cannot_tell = (answer.status == 400 && says(answer.body, "/message", "dry run")) ||
                     (outcome == CreateOutcome::kNo && about_made_up_ports(answer));
  bool quota = answer.status == 403 && outcome == CreateOutcome::kLater &&
               fits_after_delete(kube::text_at(answer.body, "/message"));
  bool held = outcome == CreateOutcome::kExists || outcome == CreateOutcome::kTaken;
  if (held || quota || answer.conflict() || cannot_tell) co_return true;
  if (outcome != CreateOutcome::kMade) throw kube::ApiError(std::move(answer));
  co_return false;
}

Task<Json> create_anew(kube::Client client, Deadline deadline, const kube::Resource& resource,
                       Json wanted, Difference difference, Notice notice) {
  auto bounded = client.until(deadline);
  auto display = resource.display(kube::name_of(wanted));
  Attempt last;
  bool interrupted = false, maybe_made = false;
  auto means_it = Clock::now() + kTimeToMeanIt;
  auto next_notice = Clock::now() + kFirstNotice;
  for (auto pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    Attempt attempt = co_await try_to_create(bounded, resource, wanted);
    if (attempt.usable()) {
      co_return as_it_should_be(std::move(attempt), display, difference, maybe_made);
    }
    maybe_made |= attempt.unclear;
    bool for_good = attempt.outcome == CreateOutcome::kNo &&
                    (attempt.answer.namespace_terminating() || Clock::now() >= means_it);
    if (for_good) throw kube::ApiError(std::move(attempt.answer));
    if (notice && Clock::now() >= next_notice) {
      notice(fmt::format("{} cannot be made anew yet: {}", display, attempt.trouble));
      next_notice = Clock::now() + kNoticePause;
    }
    // A try that the deadline cut short says less than the one before.
    if (attempt.answer.status != 0 || last.trouble.empty()) last = std::move(attempt);
    if (!interrupted && client.loop().interrupted()) {
      interrupted = true;
      deadline = deadline.earlier(Deadline::after(kTimeAfterInterrupt));
    }
    if (deadline.passed()) give_up(std::move(last));
    co_await client.loop().sleep(within(deadline, pause), client.on_interrupt());
  }
}

Task<> wait_gone(kube::Client client, const kube::Resource& resource, std::string ns,
                 std::string name, std::string uid) {
  kube::Query query;
  query.resource = &resource;
  query.ns = ns;
  query.field_selector = "metadata.name=" + name;
  query.metadata_only = true;
  kube::Until gone = [uid](const kube::Snapshot& snapshot) {
    return std::none_of(snapshot.begin(), snapshot.end(),
                        [&](const auto& entry) { return kube::uid_of(entry.second) == uid; });
  };
  co_await kube::list_then_watch(client, std::move(query), std::move(gone));
}

}  // namespace kcni::cni
