#include "common/cli/shared_flags.h"

#include <algorithm>
#include <vector>

namespace kcni::cli {

void add_connection_flags(cxxopts::Options& options) {
  auto text = [] { return cxxopts::value<std::string>(); };
  auto flag = [] { return cxxopts::value<bool>(); };
  options.add_options(kConnectionFlags)                              //
      ("kubeconfig", "Path to the kubeconfig file", text(), "FILE")  //
      ("context", "The kubeconfig context to use", text(), "NAME")   //
      ("cluster", "The kubeconfig cluster to use", text(), "NAME")   //
      ("user", "The kubeconfig user to use", text(), "NAME")         //
      ("s,server", "Address of the API server", text(), "URL")       //
      ("token", "Bearer token (better kept in the kubeconfig: arguments can be seen)", text(),
       "TOKEN")                                                                          //
      ("certificate-authority", "CA file for the server's certificate", text(), "FILE")  //
      ("client-certificate", "Client certificate file", text(), "FILE")                  //
      ("client-key", "Client key file", text(), "FILE")                                  //
      ("insecure-skip-tls-verify", "Do not check the server's certificate", flag())      //
      ("tls-server-name", "Name to check the server's certificate for", text(), "NAME")  //
      ("as", "User to impersonate", text(), "USER")                                      //
      ("as-group", "Group to impersonate; repeatable", cxxopts::value<std::vector<std::string>>(),
       "GROUP")                                        //
      ("as-uid", "UID to impersonate", text(), "UID")  //
      ("as-user-extra", "Extra to impersonate, KEY=VALUE; repeatable",
       cxxopts::value<std::vector<std::string>>(), "EXTRA")  //
      ("request-timeout", "Give up a single request after this long; 0: never",
       cxxopts::value<std::string>()->default_value("0"), "DURATION")    //
      ("disable-compression", "Do not ask the server for gzip", flag())  //
      ("cache-dir", "Accepted as by kubectl; nothing is cached", text(), "DIR");
}

void add_common_flags(cxxopts::Options& options, const std::string& default_timeout) {
  options.add_options(kCommonFlags)                                        //
      ("n,namespace", "Namespace", cxxopts::value<std::string>(), "NAME")  //
      ("dry-run", "none, client (print what would be done) or server (let the server check it)",
       cxxopts::value<std::string>()->default_value("none")->implicit_value("client"), "MODE")  //
      ("timeout", "Give up waiting after this long; 0: never",
       cxxopts::value<std::string>()->default_value(default_timeout), "DURATION")        //
      ("o,output", "name, wide, json or yaml", cxxopts::value<std::string>(), "FORMAT")  //
      ("key", "Label key used for the migration",
       cxxopts::value<std::string>()->default_value("cni"), "KEY")  //
      ("field-manager", "Field manager of our writes",
       cxxopts::value<std::string>()->default_value("kubectl-cni"), "NAME")  //
      ("chunk-size", "Read lists in chunks of so many; 0: whole",
       cxxopts::value<std::string>()->default_value("500"), "N")  //
      ("v", "Log level; 6 shows each request", cxxopts::value<std::string>()->default_value("0"),
       "LEVEL")                     //
      ("h,help", "Show this text")  //
      ("version", "Show the version");
}

const cxxopts::HelpOptionDetails* find_flag(const cxxopts::Options& options,
                                            const std::string& name) {
  for (const auto& group : options.groups()) {
    for (const auto& flag : options.group_help(group).options) {
      const bool is_long = std::find(flag.l.begin(), flag.l.end(), name) != flag.l.end();
      if (is_long || flag.s == name) return &flag;
    }
  }
  return nullptr;
}

bool wants_value(const cxxopts::HelpOptionDetails& flag) {
  return !flag.is_boolean && !flag.has_implicit;
}

}  // namespace kcni::cli
