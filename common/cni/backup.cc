#include "common/cni/backup.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdint>

#include "common/base/base64.h"
#include "common/base/random.h"
#include "common/cni/names.h"

namespace kcni::cni {

namespace {

using kube::Json;

constexpr int kMaxTries = 5;
constexpr std::size_t kMaxName = 253;
constexpr const char* kObjectKey = "object.json";
constexpr const char* kCompanionsKey = "companions.json";

// FNV-1a: std::hash may differ from build to build, and another machine must find the backup.
std::uint64_t stable_hash(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
  return hash;
}

std::string display_of(const kube::Resource& resource, const Json& object) {
  return fmt::format("{} in namespace {}", resource.display(kube::name_of(object)),
                     kube::namespace_of(object));
}

Error bad_backup(const BackupRef& ref, const std::string& reason) {
  return failed(
      fmt::format("{} is marked as a backup but {}: look at it, and delete it when it is "
                  "of no use",
                  ref.display(), reason));
}

Json decoded(const Json& secret, const BackupRef& ref, const char* key) {
  auto text = base64_decode(kube::text_at(secret, fmt::format("/data/{}", key)));
  Json value = text ? Json::parse(*text, nullptr, false) : Json(Json::value_t::discarded);
  if (value.is_discarded()) throw bad_backup(ref, fmt::format("its {} cannot be read", key));
  return value;
}

BackupRef ref_of(const Json& secret) {
  BackupRef ref;
  ref.ns = kube::namespace_of(secret);
  ref.name = kube::name_of(secret);
  ref.uid = kube::uid_of(secret);
  ref.resource_version = kube::text_at(secret, "/metadata/resourceVersion");
  ref.writer = kube::annotation_of(secret, kBackupWriterAnnotation);
  return ref;
}

// Replaces the backup of an earlier try; the resourceVersion keeps two runs from mixing theirs up.
Task<kube::Answer> replace(kube::Client client, Json existing, Json secret) {
  auto ref = ref_of(existing);
  secret["metadata"]["resourceVersion"] = kube::text_at(existing, "/metadata/resourceVersion");
  secret.erase("type");
  co_return co_await client.patch(kube::kSecrets, ref.ns, ref.name, kube::PatchType::kMerge,
                                  std::move(secret));
}

Error other_backup(const BackupRef& ref, const std::string& object) {
  return refused(fmt::format(
      "{} keeps an earlier {} that an interrupted run deleted: running again puts it back, unless "
      "another one is in its place; delete the backup if it is not wanted any more (kubectl delete "
      "secret -n {} {})",
      ref.display(), object, ref.ns, ref.name));
}

}  // namespace

std::string BackupRef::display() const {
  return fmt::format("{} in namespace {}", kube::kSecrets.display(name), ns);
}

std::string backup_name(const kube::Resource& resource, const std::string& name) {
  auto whole = fmt::format("kubectl-cni-backup-{}-{}", resource.singular, name);
  if (whole.size() <= kMaxName) return whole;
  auto hash = fmt::format("-{:016x}", stable_hash(whole));
  whole.resize(kMaxName - hash.size());
  while (!std::isalnum(static_cast<unsigned char>(whole.back()))) whole.pop_back();
  return whole + hash;
}

Json backup_secret(const kube::Resource& resource, const Json& object,
                   const std::vector<Json>& companions) {
  auto name = kube::name_of(object);
  Json whole = object;
  whole["apiVersion"] = resource.api_version();
  whole["kind"] = resource.kind;
  Json secret = {{"apiVersion", "v1"}, {"kind", "Secret"}, {"type", "Opaque"}};
  auto& metadata = secret["metadata"];
  metadata["name"] = backup_name(resource, name);
  metadata["namespace"] = kube::namespace_of(object);
  metadata["labels"][kBackupLabel] = "true";
  metadata["annotations"][kBackupKindAnnotation] = resource.kind;
  metadata["annotations"][kBackupNameAnnotation] = name;
  metadata["annotations"][kBackupUidAnnotation] = kube::uid_of(object);
  secret["data"][kObjectKey] = base64_encode(whole.dump());
  secret["data"][kCompanionsKey] = base64_encode(Json(companions).dump());
  return secret;
}

Backup read_backup(const Json& secret) {
  Backup backup;
  backup.secret = ref_of(secret);
  backup.object = decoded(secret, backup.secret, kObjectKey);
  Json companions = decoded(secret, backup.secret, kCompanionsKey);
  if (companions.is_array()) backup.companions = companions.get<std::vector<Json>>();
  const auto* resource = kube::resource_of(backup.object);
  if (!resource || backup_name(*resource, kube::name_of(backup.object)) != backup.secret.name) {
    throw bad_backup(backup.secret, "what it keeps does not go with its name");
  }
  if (kube::namespace_of(backup.object) != backup.secret.ns) {
    throw bad_backup(backup.secret, "keeps an object of another namespace");
  }
  return backup;
}

Task<BackupRef> save_backup(kube::Client client, const kube::Resource& resource, Json object,
                            std::vector<Json> companions) {
  auto ns = kube::namespace_of(object);
  Json secret = backup_secret(resource, object, companions);
  // Writing the same again would leave the resourceVersion as it was.
  secret["metadata"]["annotations"][kBackupWriterAnnotation] = random_word();
  auto name = kube::name_of(secret);
  kube::Answer answer;
  std::string replaced_version, replaced_writer;
  for (int i = 0; i < kMaxTries;
       ++i) {  // the object may be deleted already, so not at the first 409
    replaced_version.clear();
    answer = co_await client.create(kube::kSecrets, ns, secret);
    if (!answer.conflict()) break;
    auto existing = co_await client.get(kube::kSecrets, ns, name);
    if (existing.not_found()) continue;  // another run dropped it just now
    Json found = kube::body_or_throw(std::move(existing));
    if (kube::annotation_of(found, kBackupUidAnnotation) != kube::uid_of(object)) {
      throw other_backup(ref_of(found), display_of(resource, object));
    }
    replaced_version = kube::text_at(found, "/metadata/resourceVersion");
    replaced_writer = kube::annotation_of(found, kBackupWriterAnnotation);
    answer = co_await replace(client, std::move(found), secret);
    if (!answer.conflict() && !answer.not_found()) break;
  }
  auto ref = ref_of(kube::body_or_throw(std::move(answer)));
  ref.replaced_version = replaced_version;
  ref.replaced_writer = replaced_writer;
  co_return ref;
}

Task<BackupRef> save_backup(kube::Client client, const kube::Resource& resource, Json object) {
  return save_backup(std::move(client), resource, std::move(object), std::vector<Json>());
}

Task<> drop_backup(kube::Client client, BackupRef backup) {
  for (int i = 0; i < kMaxTries; ++i) {
    kube::DeleteOptions options;
    options.uid = backup.uid;
    options.resource_version = backup.resource_version;
    auto answer = co_await client.remove(kube::kSecrets, backup.ns, backup.name, options);
    if (answer.not_found()) co_return;
    if (!answer.conflict()) {
      kube::body_or_throw(std::move(answer));
      co_return;
    }
    auto there = co_await client.get(kube::kSecrets, backup.ns, backup.name);
    if (there.not_found()) co_return;
    auto now = ref_of(kube::body_or_throw(std::move(there)));
    if (now.uid != backup.uid || now.writer != backup.writer) co_return;  // another run's
    backup.resource_version = now.resource_version;
  }
  throw failed("it is changed again and again");
}

Task<std::string> drop_or_say(kube::Client client, BackupRef backup) {
  try {
    co_await drop_backup(std::move(client), backup);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    co_return fmt::format(
        "its backup is not needed any more, but could not be removed: {} (kubectl delete secret -n "
        "{} {})",
        error.what(), backup.ns, backup.name);
  }
  co_return "";
}

}  // namespace kcni::cni
