#include "common/cni/residue.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "common/base/error.h"
#include "common/cni/cidr.h"
#include "common/ssh/text.h"

namespace kcni::cni {

namespace {

const char* word_of(CleanupRequest::Mode mode) {
  switch (mode) {
    case CleanupRequest::Mode::kCheck:
      return "check";
    case CleanupRequest::Mode::kClean:
      return "clean";
    case CleanupRequest::Mode::kLinksOnly:
      return "links-only";
    case CleanupRequest::Mode::kRestore:
      return "restore";
    case CleanupRequest::Mode::kWaitConf:
      break;
  }
  return "wait-conf";
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  for (;;) {
    auto tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

Residue residue_of(const std::vector<std::string_view>& fields) {
  auto field = [&](std::size_t i) { return i < fields.size() ? ssh::one_line(fields[i]) : ""; };
  return {field(1), field(2), field(3)};
}

void read_line(std::string_view line, CleanupReport& report) {
  auto fields = fields_of(line);
  if (fields.size() < 2) return;
  auto word = fields[0];
  if (word == "found") report.found.push_back(residue_of(fields));
  if (word == "removed") report.removed.push_back(residue_of(fields));
  if (word == "kept") report.kept.push_back(residue_of(fields));
  if (word == "failed") report.failed.push_back(residue_of(fields));
  if (word == "would") report.would.push_back(ssh::one_line(fields[1]));
  if (word == "conf") report.conf = ssh::one_line(fields[1]);
  if (word == "end") {
    std::from_chars(fields[1].data(), fields[1].data() + fields[1].size(), report.status);
  }
}

// What a kind is called where it is not listed one by one.
std::string noun_of(const Residue& item) {
  static const std::map<std::string, std::string> kNouns{
      {"env", "subnet.env"},      {"conf", "CNI conf"},     {"veth", "veths"},
      {"rule", "iptables"},       {"chain", "iptables"},    {"nft", "nft tables"},
      {"route", "routes"},        {"state", "CNI state"},   {"conntrack", "conntrack"},
      {"hostport", "host ports"}, {"mark", "node's marks"},
  };
  auto noun = kNouns.find(item.kind);
  return noun == kNouns.end() ? item.name : noun->second;
}

}  // namespace

std::vector<std::string> script_args(const CleanupRequest& request) {
  constexpr std::uint32_t kMaxVni = (1U << 24) - 1;
  std::vector<std::string> args{word_of(request.mode)};
  for (auto vni : request.vnis) {
    if (vni > kMaxVni) throw failed(fmt::format("VNI {} has more than 24 bits", vni));
    args.push_back(fmt::format("vni={}", vni));
  }
  for (const auto& network : request.networks) {
    if (!Cidr::parse(network)) {
      throw failed(fmt::format("flannel's network \"{}\" is no CIDR", ssh::one_line(network)));
    }
    args.push_back("net=" + network);
  }
  if (request.pods_left) args.push_back(fmt::format("pods-left={}", *request.pods_left));
  for (const auto& kind : request.kinds) args.push_back("kind=" + kind);
  if (request.dry_run) args.emplace_back("dry-run");
  if (request.mode == CleanupRequest::Mode::kWaitConf) {
    args.push_back(fmt::format("wait={}", request.wait.count()));
    if (!request.wanted.empty()) args.push_back("want=" + request.wanted);
  }
  return args;
}

CleanupReport parse_report(std::string_view output, int exit_status) {
  CleanupReport report;
  while (!output.empty()) {
    auto newline = output.find('\n');
    read_line(output.substr(0, newline), report);
    if (newline == std::string_view::npos) break;
    output.remove_prefix(newline + 1);
  }
  // The last line and the exit status vouch for each other.
  if (report.status != exit_status) report.status = -1;
  return report;
}

std::optional<CleanupStep> parse_step(std::string_view line) {
  auto fields = fields_of(line);
  if (fields.size() != 4 || fields[0] != "step") return std::nullopt;
  CleanupStep step;
  auto number = [](std::string_view text, unsigned& value) {
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
  };
  if (!number(fields[1], step.number) || !number(fields[2], step.of)) return std::nullopt;
  step.kind = ssh::one_line(fields[3]);
  return step;
}

std::string summary(const std::vector<Residue>& items) {
  std::vector<std::string> nouns;
  for (const auto& item : items) {
    auto noun = noun_of(item);
    if (std::find(nouns.begin(), nouns.end(), noun) == nouns.end()) nouns.push_back(noun);
  }
  // Links first, as the idea has them.
  std::stable_partition(nouns.begin(), nouns.end(), [&](const std::string& noun) {
    return std::any_of(items.begin(), items.end(), [&](const Residue& item) {
      return item.kind == "link" && item.name == noun;
    });
  });
  return fmt::format("{}", fmt::join(nouns, ", "));
}

std::string describe(const Residue& item) {
  std::string text = item.kind + " " + item.name;
  return item.detail.empty() ? text : text + ": " + item.detail;
}

}  // namespace kcni::cni
