#include "common/kube/config_pod.h"

#include <sys/stat.h>

#include "common/base/file.h"

namespace kcni::kube {

namespace {

constexpr const char* kHost = "KUBERNETES_SERVICE_HOST";
constexpr const char* kPort = "KUBERNETES_SERVICE_PORT";

}  // namespace

bool in_pod(const Environment& environment, const std::string& account_directory) {
  if (!given(environment(kHost)) || !given(environment(kPort))) return false;
  struct stat token {};
  return stat((account_directory + "/token").c_str(), &token) == 0 && !S_ISDIR(token.st_mode);
}

Selection pod_selection(const Environment& environment, const std::string& account_directory) {
  auto host = environment(kHost).value_or("");
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  Selection selection;
  selection.cluster.server = "https://" + host + ":" + environment(kPort).value_or("");
  selection.cluster.ca_file = account_directory + "/ca.crt";
  selection.cluster.origin = "the pod's service account";
  selection.user.token_file = account_directory + "/token";
  selection.user.origin = selection.cluster.origin;
  return selection;
}

std::string pod_namespace(const Environment& environment, const std::string& account_directory) {
  if (auto name = given(environment("POD_NAMESPACE"))) return *name;
  auto name = read_file_if_exists(account_directory + "/namespace").value_or("");
  name.erase(0, name.find_first_not_of(" \t\r\n"));
  name.erase(name.find_last_not_of(" \t\r\n") + 1);
  return name;
}

}  // namespace kcni::kube
