#include "common/cni/backup_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "common/base/fd.h"
#include "common/base/file.h"
#include "common/cni/services_recreate.h"

namespace kcni::cni {

namespace {

using kube::Json;

[[noreturn]] void fail(const std::string& path) {
  throw failed(
      fmt::format("cannot write the backup {}: {}", path, std::generic_category().message(errno)));
}

void write_all(const Fd& file, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    auto written = write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void sync(const Fd& file, const std::string& path) {
  if (fsync(file.get()) != 0) fail(path);
}

// Written beside and renamed, so that an earlier backup is whole until the new one is.
void write_durably(const std::string& directory, const std::string& path, std::string_view text) {
  auto part = path + ".part";
  unlink(part.c_str());
  Fd file(open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) fail(part);
  write_all(file, text, part);
  sync(file, part);
  if (std::rename(part.c_str(), path.c_str()) != 0) fail(path);
  Fd parent(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent) fail(directory);
  sync(parent, directory);
}

// "shop.Service.web.json"; the name of an object has no slash and no capitals.
bool is_backup_of_service(const std::filesystem::path& path) {
  auto name = path.filename().string();
  return path.extension() == ".json" && name.find(".Service.") != std::string::npos;
}

Backup parse_backup(const std::string& path, const std::string& text) {
  Json list = Json::parse(text, nullptr, false);
  Backup backup;
  for (const auto& item : kube::at(list, "/items")) {
    (backup.object.is_null() ? backup.object : backup.companions.emplace_back()) = item;
  }
  if (kube::text_at(backup.object, "/kind") == "Service" && !kube::name_of(backup.object).empty() &&
      !kube::namespace_of(backup.object).empty()) {
    return backup;
  }
  throw failed(fmt::format("{} is no backup of a Service that this command has written", path));
}

// So that the companions that it owned get the new one for an owner.
void take_uid_from_companions(Backup& backup) {
  for (const auto& companion : backup.companions) {
    for (const auto& owner : kube::at(companion, "/metadata/ownerReferences")) {
      bool is_it = kube::text_at(owner, "/apiVersion") == "v1" &&
                   kube::text_at(owner, "/kind") == "Service" &&
                   kube::text_at(owner, "/name") == kube::name_of(backup.object);
      if (is_it) backup.object["metadata"]["uid"] = kube::text_at(owner, "/uid");
    }
  }
}

}  // namespace

std::vector<Backup> read_backup_files(const std::string& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_backup_of_service(entry->path())) paths.push_back(entry->path());
  }
  if (error) throw failed(fmt::format("cannot read {}: {}", directory, error.message()));
  std::sort(paths.begin(), paths.end());
  std::vector<Backup> backups;
  for (const auto& path : paths) {
    auto text = read_file(path.string());
    backups.push_back(parse_backup(path.string(), text));
    take_uid_from_companions(backups.back());
  }
  return backups;
}

std::string write_backup_file(const std::string& directory, const Backup& backup,
                              const Json& recreatable) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) fail(directory);
  Json list = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", Json::array({recreatable})}};
  auto status = recreatable_status(backup.object);
  if (!status.is_null()) list["items"][0]["status"] = std::move(status);  // no create takes it
  for (const auto& companion : backup.companions) {
    list["items"].push_back(recreatable_companion(companion, "", ""));
  }
  auto path = fmt::format("{}/{}.{}.{}.json", directory, kube::namespace_of(recreatable),
                          kube::text_at(recreatable, "/kind"), kube::name_of(recreatable));
  write_durably(directory, path, list.dump(2) + "\n");
  return path;
}

}  // namespace kcni::cni
