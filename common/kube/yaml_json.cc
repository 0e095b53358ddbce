#include "common/kube/yaml_json.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "common/base/error.h"
#include "common/kube/yaml_scalar.h"

namespace kcni::kube {

namespace {

constexpr int kMaxDepth = 200;
constexpr std::size_t kMaxNodes = 2'000'000;
constexpr std::string_view kTags = "tag:yaml.org,2002:";

Error at_line(int line, std::string_view problem) {
  return line > 0 ? failed(fmt::format("line {}: {}", line, problem))
                  : failed(std::string(problem));
}

/// Walks one document. Aliases make a YAML document a graph: depth and number of nodes are limited.
class Converter {
 public:
  Json convert(const YAML::Node& node, int depth = 0) {
    if (depth > kMaxDepth) throw problem(node, "nested too deeply");
    if (++nodes_ > kMaxNodes) throw problem(node, "too many values (aliases that multiply?)");
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return scalar(node);
      case YAML::NodeType::Sequence:
        return sequence(node, depth);
      case YAML::NodeType::Map:
        return map(node, depth);
      default:
        return nullptr;
    }
  }

 private:
  static Error problem(const YAML::Node& node, std::string_view what) {
    return at_line(node.Mark().line + 1, what);
  }

  /// yaml-cpp tags what was quoted "!" and what was not "?".
  static Json scalar(const YAML::Node& node) {
    const auto& tag = node.Tag();
    if (tag == "?" || tag.empty()) return plain_scalar(node.Scalar());
    if (!tag.starts_with(kTags)) return node.Scalar();
    const auto name = tag.substr(kTags.size());
    if (name == "int" || name == "float" || name == "bool" || name == "null") {
      return plain_scalar(node.Scalar());
    }
    if (name == "str") return node.Scalar();
    throw problem(node, fmt::format("values tagged !!{} are not supported", name));
  }

  Json sequence(const YAML::Node& node, int depth) {
    Json result = Json::array();
    for (const auto& item : node) result.push_back(convert(item, depth + 1));
    return result;
  }

  Json map(const YAML::Node& node, int depth) {
    Json result = Json::object();
    std::vector<YAML::Node> merged;
    for (const auto& entry : node) {
      if (entry.first.IsScalar() && entry.first.Tag() == "?" && entry.first.Scalar() == "<<") {
        merged.push_back(entry.second);
        continue;
      }
      const auto key = key_text(entry.first);
      if (result.contains(key)) {
        throw problem(entry.first, fmt::format("key \"{}\" is given twice", key));
      }
      result[key] = convert(entry.second, depth + 1);
    }
    for (const auto& source : merged) merge_into(result, source, depth);
    return result;
  }

  /// A merge key: what it brings does not replace what the map has itself.
  void merge_into(Json& result, const YAML::Node& source, int depth) {
    if (!source.IsSequence()) return merge_map(result, source, depth);
    for (const auto& item : source) merge_map(result, item, depth);
  }

  void merge_map(Json& result, const YAML::Node& source, int depth) {
    if (!source.IsMap()) throw problem(source, "a merge key (<<) wants a map");
    const auto brought = convert(source, depth + 1);  // must outlive items(), which refers to it
    for (const auto& [key, value] : brought.items()) result.emplace(key, value);
  }

  static std::string key_text(const YAML::Node& key) {
    if (key.IsNull()) return "null";
    if (!key.IsScalar()) throw problem(key, "a key must be a string");
    return key.Scalar();
  }

  std::size_t nodes_ = 0;
};

/// Watches nlohmann's parser, which would let the last of two equal keys win.
class KeyGuard {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    if (depth > kMaxDepth) throw failed("nested too deeply");
    if (event == Json::parse_event_t::object_start) seen_.emplace_back();
    if (event == Json::parse_event_t::object_end) seen_.pop_back();
    if (event == Json::parse_event_t::key && !seen_.back().insert(parsed).second) {
      throw failed(fmt::format("key {} is given twice", parsed.dump()));
    }
    return true;
  }

 private:
  std::vector<std::set<Json>> seen_;
};

/// nullopt when it is no JSON: it may still be YAML in braces.
std::optional<Json> parse_json(const std::string& text) {
  const auto start = text.find_first_not_of(" \t\r\n");
  if (start == std::string::npos || text[start] != '{') return std::nullopt;
  KeyGuard guard;
  auto watch = [&guard](int depth, Json::parse_event_t event, const Json& parsed) {
    return guard(depth, event, parsed);
  };
  auto value = Json::parse(text, watch, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

void require_utf8(const std::string& text) {
  try {
    static_cast<void>(Json(text).dump());
  } catch (const Json::exception&) {
    throw failed("not UTF-8 text");
  }
}

/// Calls `load` (one of yaml-cpp's) and turns its exceptions into ours.
template <typename Load>
auto loaded(Load load) {
  try {
    return load();
  } catch (const YAML::Exception& error) {
    throw at_line(error.mark.line + 1, error.msg);
  }
}

}  // namespace

Json parse_yaml(const std::string& text) {
  require_utf8(text);
  if (auto json = parse_json(text)) return *std::move(json);
  return loaded([&] { return Converter().convert(YAML::Load(text)); });
}

std::vector<Json> parse_yaml_documents(const std::string& text) {
  require_utf8(text);
  if (auto json = parse_json(text)) return {*std::move(json)};
  return loaded([&] {
    std::vector<Json> documents;
    for (const auto& node : YAML::LoadAll(text)) {
      if (!node.IsNull()) documents.push_back(Converter().convert(node));
    }
    return documents;
  });
}

}  // namespace kcni::kube
