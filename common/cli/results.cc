#include "common/cli/results.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <regex>
#include <string_view>

#include "common/base/error.h"
#include "common/base/time.h"

namespace kcni::cli {

namespace {

// yaml-cpp writes the strings "yes" and "1" plainly; YAML 1.1 readers would take them for a boolean
// and a number. Anything that is not clearly a word is quoted.
bool plain_is_safe(const std::string& text) {
  // No std::regex over a text that may be long: it recurses character by character.
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_/";
  constexpr std::string_view kMore = "0123456789.()-";
  auto among = [](char c, std::string_view set) { return set.find(c) != set.npos; };
  if (text.empty() || !among(text[0], kLetters)) return false;
  if (!std::all_of(text.begin(), text.end(),
                   [&](char c) { return among(c, kLetters) || among(c, kMore); })) {
    return false;
  }
  static const std::regex kReserved("y|n|yes|no|on|off|true|false|null", std::regex::icase);
  return text.size() > 5 || !std::regex_match(text, kReserved);
}

void emit(YAML::Emitter& out, const kube::Json& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, child] : value.items()) {
      out << YAML::Key;
      if (!plain_is_safe(key)) out << YAML::DoubleQuoted;
      out << key << YAML::Value;
      emit(out, child);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const auto& child : value) emit(out, child);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    auto text = value.get<std::string>();
    if (!plain_is_safe(text)) out << YAML::DoubleQuoted;
    out << text;
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << value.dump();
  }
}

}  // namespace

OutputFormat parse_output(const std::string& value) {
  if (value.empty()) return OutputFormat::kLines;
  if (value == "name") return OutputFormat::kName;
  if (value == "json") return OutputFormat::kJson;
  if (value == "yaml") return OutputFormat::kYaml;
  if (value == "wide") return OutputFormat::kWide;
  throw wrong_usage(fmt::format(
      "unable to match a printer suitable for the output format \"{}\", allowed formats are: "
      "json,name,wide,yaml",
      value));
}

std::string to_yaml(const kube::Json& value) {
  YAML::Emitter out;
  emit(out, value);
  return std::string(out.c_str()) + "\n";
}

void Results::done(const kube::Resource& resource, const std::string& ns, const std::string& name,
                   const std::string& what, const std::string& detail, const kube::Json& object) {
  last_done_ = Clock::now();
  before_();
  if (events_) {
    kube::Json line = event_of(what, resource, object);
    if (line["name"].empty()) line["name"] = name;
    if (!detail.empty()) line["message"] = detail;
    out_ << line.dump() << std::endl;
    return;
  }
  switch (format_) {
    case OutputFormat::kName:
      out_ << resource.display(name) << "\n";
      break;
    case OutputFormat::kJson:
    case OutputFormat::kYaml:
      if (!object.is_null()) objects_.push_back(object);
      break;
    case OutputFormat::kWide:
    case OutputFormat::kLines:
      out_ << resource.display(name) << " " << what;
      if (!detail.empty()) out_ << " (" << detail << ")";
      if (format_ == OutputFormat::kWide && !ns.empty()) out_ << " -n " << ns;
      out_ << suffix_ << "\n";
  }
  out_.flush();  // an operator watches, and a script may read line by line
}

void Results::stream_events() {
  events_ = format_ == OutputFormat::kJson;
}

kube::Json Results::event_of(const std::string& what, const kube::Resource& resource,
                             const kube::Json& object) const {
  kube::Json event = {{"time", now_rfc3339()},
                      {"event", what},
                      {"kind", resource.kind},
                      {"name", kube::name_of(object)},
                      {"uid", kube::uid_of(object)}};
  if (resource.namespaced) event["namespace"] = kube::namespace_of(object);
  auto node = kube::text_at(object, "/spec/nodeName");
  if (!node.empty()) event["node"] = node;
  if (!suffix_.empty()) event["dryRun"] = true;
  return event;
}

void Results::event(const std::string& what, const kube::Resource& resource,
                    const kube::Json& object, const std::string& message) {
  if (!events_) return;
  before_();
  kube::Json line = event_of(what, resource, object);
  line["message"] = message;
  out_ << line.dump() << std::endl;
}

void Results::finish() {
  if (events_) return;
  if (format_ != OutputFormat::kJson && format_ != OutputFormat::kYaml) return;
  kube::Json whole;
  if (objects_.size() == 1) {
    whole = objects_[0];
  } else {
    whole = {{"apiVersion", "v1"}, {"kind", "List"}, {"metadata", kube::Json::object()}};
    whole["items"] = objects_;
  }
  out_ << (format_ == OutputFormat::kJson ? whole.dump(4) + "\n" : to_yaml(whole));
}

}  // namespace kcni::cli
