#include "common/cni/backup_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>

#include "common/base/fd.h"
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

}  // namespace

std::string write_backup_file(const std::string& directory, const Backup& backup,
                              const Json& recreatable) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) fail(directory);
  Json list = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", Json::array({recreatable})}};
  for (const auto& companion : backup.companions) {
    list["items"].push_back(recreatable_companion(companion, "", ""));
  }
  auto path = fmt::format("{}/{}.{}.{}.json", directory, kube::namespace_of(recreatable),
                          kube::text_at(recreatable, "/kind"), kube::name_of(recreatable));
  write_durably(directory, path, list.dump(2) + "\n");
  return path;
}

}  // namespace kcni::cni
