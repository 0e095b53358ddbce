#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "common/base/text.h"
#include "plugins/cleanup/cleanup.h"

namespace kcni::cleanup {

using kube::Json;

namespace {

// "NODE HOST[:PORT]" a line; a bare IPv6 address has more than one colon and no port.
std::optional<ssh::Target> mapped(const std::string& file, const std::string& node) {
  std::ifstream stream(file);
  if (!stream) throw failed(fmt::format("cannot read --host-map {}", file));
  for (std::string line; std::getline(stream, line);) {
    std::replace(line.begin(), line.end(), '\t', ' ');
    auto words = split(trim(line), ' ');
    if (words.empty() || words[0].starts_with("#")) continue;
    if (words.size() != 2) {
      throw failed(
          fmt::format("--host-map {}: \"{}\" is not NODE HOST[:PORT]", file, printable(line)));
    }
    if (words[0] != node) continue;
    ssh::Target target;
    target.host = words[1];
    auto bracket = words[1].rfind(']');
    bool bracketed = words[1].starts_with("[");
    auto colon = words[1].find(':', bracketed ? bracket : 0);
    bool has_port = colon != std::string::npos &&
                    (bracketed ? colon == bracket + 1 : words[1].rfind(':') == colon);
    if (has_port) {
      target.port = ssh::parse_port(file, words[1].substr(colon + 1));
      target.host = words[1].substr(0, colon);
    }
    if (bracketed && target.host.ends_with("]")) {
      target.host = target.host.substr(1, target.host.size() - 2);
    }
    if (target.host.empty() || target.host.starts_with("[")) {
      throw failed(
          fmt::format("--host-map {}: \"{}\" is not HOST[:PORT]", file, printable(words[1])));
    }
    return target;
  }
  return std::nullopt;
}

std::string address_of(const Json& node, const std::string& type) {
  for (const auto& address : kube::at(node, "/status/addresses")) {
    if (kube::text_at(address, "/type") == type) return kube::text_at(address, "/address");
  }
  return "";
}

}  // namespace

void add_ssh_flags(cxxopts::OptionAdder& add) {
  auto text = [] { return cxxopts::value<std::string>(); };
  add("ssh-user", "User to log in as; sudo -n is used unless it is root", text(), "USER");
  add("ssh-port", "Port of sshd", text(), "PORT");
  add("ssh-key", "Private key file; repeatable", cxxopts::value<std::vector<std::string>>(),
      "FILE");
  add("ssh-known-hosts", "File with the nodes' host keys; default ~/.ssh/known_hosts", text(),
      "FILE");
  add("ssh-accept-new", "Trust a host key seen for the first time and write it down",
      cxxopts::value<bool>());
  add("ssh-option",
      "As `ssh -o`: KEYWORD=VALUE of ssh_config(5), e.g. ProxyJump=bastion; repeatable",
      cxxopts::value<std::vector<std::string>>(), "OPTION");
  add("ssh-timeout", "For connecting, and again for logging in",
      cxxopts::value<std::string>()->default_value("15s"), "DURATION");
  add("address-type", "Which of a node's addresses to use, the first that it has",
      cxxopts::value<std::string>()->default_value("InternalIP,ExternalIP,InternalDNS,Hostname"),
      "TYPES");
  add("host-map", "File with lines NODE HOST[:PORT], instead of the nodes' addresses", text(),
      "FILE");
}

ssh::Options ssh_options(const cli::Context& context) {
  const auto& flags = context.flags();
  ssh::Options options;
  options.user = flags.text("ssh-user");
  if (flags.given("ssh-port")) options.port = ssh::parse_port("--ssh-port", flags.text("ssh-port"));
  options.identities = flags.list("ssh-key");
  for (const auto& option : flags.list("ssh-option")) {
    options.config.push_back(ssh::config_line(option));
  }
  options.known_hosts = flags.text("ssh-known-hosts");
  options.accept_new = flags.flag("ssh-accept-new");
  options.connect_timeout = flags.duration("ssh-timeout");
  return options;
}

ssh::Target ssh_target(const cli::Context& context, const Json& node) {
  const auto& flags = context.flags();
  auto name = kube::name_of(node);
  ssh::Target target;
  if (flags.given("host-map")) {
    if (auto found = mapped(flags.text("host-map"), name)) target = *found;
  }
  for (const auto& type : split(flags.text("address-type"), ',')) {
    if (target.host.empty()) target.host = address_of(node, type);
  }
  if (target.host.empty()) {
    throw failed(
        fmt::format("node/{} has no address of type {}; choose another --address-type or "
                    "give a --host-map",
                    name, flags.text("address-type")));
  }
  target.name = "node/" + name;
  return target;
}

}  // namespace kcni::cleanup
