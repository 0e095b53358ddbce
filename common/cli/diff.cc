#include "common/cli/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/error.h"
#include "common/base/process.h"
#include "common/base/text.h"
#include "common/cli/results.h"

namespace kcni::cli {

namespace {

using kube::Json;

// What of the object the patch speaks of.
Json part_of(const Json& object, const Json& patch) {
  if (!patch.is_object() || !object.is_object()) return object;
  Json part = Json::object();
  for (const auto& [key, value] : patch.items()) {
    if (object.contains(key)) part[key] = part_of(object[key], value);
  }
  return part;
}

Json without_resource_version(Json patch) {
  if (patch.contains("metadata")) patch["metadata"].erase("resourceVersion");
  return patch;
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    auto pattern = (std::filesystem::temp_directory_path() / "kubectl-cni-diff.XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw failed("cannot make a temporary directory");
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// kubectl's rule: the variable may bring arguments, and without it diff -u -N it is.
std::vector<std::string> diff_command() {
  const char* wanted = std::getenv("KUBECTL_EXTERNAL_DIFF");
  auto argv = split(wanted ? wanted : "", ' ');
  return argv.empty() ? std::vector<std::string>{"diff", "-u", "-r", "-N"} : argv;
}

}  // namespace

std::string diff_name(const Json& object, const std::string& api_version, const std::string& kind) {
  std::string version = api_version;
  std::replace(version.begin(), version.end(), '/', '.');
  auto ns = kube::namespace_of(object);
  return fmt::format("{}.{}.{}{}{}", version, kind, ns, ns.empty() ? "" : ".",
                     kube::name_of(object));
}

void Diff::add(const std::string& name, const Json& object, const Json& merge_patch) {
  Json patch = without_resource_version(merge_patch);
  Entry entry{name, part_of(object, patch), {}};
  entry.after = entry.before;
  entry.after.merge_patch(patch);
  entries_.push_back(std::move(entry));
}

std::string Diff::text() const {
  if (entries_.empty()) return "";
  TemporaryDirectory directory;
  for (const char* side : {"LIVE", "PLANNED"}) {
    std::filesystem::create_directory(directory.path() / side);
    for (const auto& entry : entries_) {
      std::ofstream file(directory.path() / side / entry.name);
      file << to_yaml(std::string(side) == "LIVE" ? entry.before : entry.after);
      if (!file.flush()) throw failed("cannot write to " + directory.path().string());
    }
  }
  Command command;
  command.argv = diff_command();
  command.argv.push_back((directory.path() / "LIVE").string());
  command.argv.push_back((directory.path() / "PLANNED").string());
  auto result = run(command);
  // diff(1): 0 the same, 1 different, more is trouble.
  if (result.start_error != 0 || result.signal != 0 || result.exit_code > 1) {
    throw failed(fmt::format("cannot run {} to show the differences", command.argv[0]));
  }
  return result.output;
}

}  // namespace kcni::cli
