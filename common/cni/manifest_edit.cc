#include "common/cni/manifest_edit.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <regex>
#include <utility>

#include "common/base/text.h"
#include "common/cni/manifest_scan.h"
#include "common/kube/json.h"
#include "common/kube/yaml_scalar.h"

namespace kcni::cni {

namespace {

/// Replaces [begin, end) by text.
struct TextEdit {
  std::size_t begin, end;
  std::string text;
};

/// A map's entry; the key's node tells where it stands.
struct Entry {
  YAML::Node key, value;
};

std::size_t position(const YAML::Node& node) {
  return static_cast<std::size_t>(node.Mark().pos);
}

bool is_flow(const YAML::Node& node) {
  return node.Style() == YAML::EmitterStyle::Flow;
}

/// YAML::Node's own operator[] would hide the key's position.
std::optional<Entry> find_entry(const YAML::Node& map, const std::string& name) {
  if (!map.IsMap()) return std::nullopt;
  for (const auto& entry : map) {
    if (entry.first.IsScalar() && entry.first.Scalar() == name) {
      return Entry{entry.first, entry.second};
    }
  }
  return std::nullopt;
}

std::optional<Entry> find_item(const YAML::Node& list, const std::string& index) {
  std::size_t number = 0;
  std::from_chars(index.data(), index.data() + index.size(), number);
  if (number >= list.size()) return std::nullopt;
  return Entry{YAML::Node(), list[number]};
}

/// Assigning to a YAML::Node would change the document it stands in: entries are made anew.
std::optional<Entry> find_path(const YAML::Node& root, const std::string& pointer) {
  auto here = std::make_unique<Entry>(Entry{YAML::Node(), root});
  for (const auto& name : split(pointer, '/')) {
    const auto next =
        here->value.IsSequence() ? find_item(here->value, name) : find_entry(here->value, name);
    if (!next) return std::nullopt;
    here = std::make_unique<Entry>(*next);
  }
  return *here;
}

/// Makes the edit of one pod spec.
class Editor {
 public:
  Editor(std::string_view text, const SelectorChange& change, bool quoted)
      : text_(text), change_(change), quoted_(quoted) {}

  std::optional<TextEdit> edit(const Entry& pod_spec) const {
    const auto selector = find_entry(pod_spec.value, "nodeSelector");
    if (!change_.value) return selector ? remove(pod_spec, *selector) : std::nullopt;
    if (!selector) return insert_into(pod_spec, "nodeSelector");
    if (selector->value.IsNull()) return fill(*selector);
    const auto entry = find_entry(selector->value, change_.key);
    return entry ? replace(*selector, *entry) : insert_into(*selector, "");
  }

 private:
  std::string written(const std::string& word, bool flow) const {
    static const std::regex kPlain("[A-Za-z][A-Za-z0-9_./-]{0,400}");
    const bool plain = !(flow && quoted_) && std::regex_match(word, kPlain) &&
                       kube::plain_scalar(word).is_string();
    return plain ? word : kube::Json(word).dump();
  }

  std::string pair(bool flow) const {
    return written(change_.key, flow) + ": " + written(*change_.value, flow);
  }

  /// The new entry as the first of a map; inside a map of the name that is given, if any.
  std::optional<TextEdit> insert_into(const Entry& map, const std::string& name) const {
    return is_flow(map.value) ? insert_into_flow(map.value, name) : insert_into_block(map, name);
  }

  std::optional<TextEdit> insert_into_flow(const YAML::Node& map, const std::string& name) const {
    const auto at = position(map) + 1;
    if (at > text_.size() || text_[at - 1] != '{') return std::nullopt;
    const auto next = skip_space(text_, at);
    const bool empty = next < text_.size() && text_[next] == '}';
    const auto entry =
        name.empty() ? pair(true) : fmt::format("{}: {{{}}}", written(name, true), pair(true));
    if (empty) return TextEdit{at, at, entry};
    // A JSON text that has its entries on lines of their own gets another such line.
    const auto space = std::string(text_.substr(at, next - at));
    return TextEdit{at, at, space + entry + (space.empty() ? ", " : ",")};
  }

  /// After the line with the map's own key, so that a comment above its first entry stays there.
  std::optional<TextEdit> insert_into_block(const Entry& map, const std::string& name) const {
    static const std::regex kNothingElse(R"(:([ \t]+[&!]\S*)*([ \t]+#.*)?[ \t]*\r?\n)");
    const auto colon = key_end(text_, position(map.key));
    const auto at = line_end(text_, colon);
    const std::string rest(text_.substr(colon, at - colon));
    if (map.value.size() == 0 || !std::regex_match(rest, kNothingElse)) return std::nullopt;
    const std::string newline = rest.ends_with("\r\n") ? "\r\n" : "\n";
    const auto column = map.value.begin()->first.Mark().column;
    std::string indent(static_cast<std::size_t>(column), ' ');
    std::string lines;
    if (!name.empty()) {
      lines = indent + name + ":" + newline;
      indent += "  ";
    }
    return TextEdit{at, at, lines + indent + pair(false) + newline};
  }

  /// A nodeSelector that is there but empty: "nodeSelector:" or "nodeSelector: null".
  std::optional<TextEdit> fill(const Entry& selector) const {
    const auto begin = key_end(text_, position(selector.key)) + 1;
    if (begin > text_.size()) return std::nullopt;
    const auto word = std::min(text_.find_first_not_of(" \t", begin), text_.size());
    const auto end = scalar_end(text_, word, true);
    const auto found = text_.substr(word, end - word);
    const auto map = " {" + pair(true) + "}";
    if (found.empty() || found[0] == '#') return TextEdit{begin, begin, map};
    return TextEdit{begin, end, map};
  }

  std::optional<TextEdit> replace(const Entry& selector, const Entry& entry) const {
    const bool flow = is_flow(selector.value);
    const auto begin = position(entry.value);
    return TextEdit{begin, scalar_end(text_, begin, flow), written(*change_.value, flow)};
  }

  std::optional<TextEdit> remove(const Entry& pod_spec, const Entry& selector) const {
    const auto entry = find_entry(selector.value, change_.key);
    if (!entry) return std::nullopt;
    const bool flow = is_flow(selector.value);
    const auto end = scalar_end(text_, position(entry->value), flow);
    if (selector.value.size() > 1) return erase(selector.value, *entry, end);
    const auto map_end = flow ? flow_end(text_, position(selector.value)) : end;
    return erase(pod_spec.value, selector, map_end);
  }

  std::optional<TextEdit> erase(const YAML::Node& map, const Entry& entry, std::size_t end) const {
    const auto begin = position(entry.key);
    if (is_flow(map)) return erase_from_flow(begin, end);
    const auto start = line_start(text_, begin);
    const auto before = text_.substr(start, begin - start);
    if (before.find_first_not_of(' ') != before.npos) return std::nullopt;
    return TextEdit{start, line_end(text_, end), ""};
  }

  /// With one of the commas around it.
  std::optional<TextEdit> erase_from_flow(std::size_t begin, std::size_t end) const {
    const auto next = skip_space(text_, end);
    if (next < text_.size() && text_[next] == ',') {
      return TextEdit{begin, skip_space(text_, next + 1), ""};
    }
    const auto before = text_.find_last_not_of(" \t\r\n", begin - 1);
    if (before == text_.npos || text_[before] != ',') return TextEdit{begin, end, ""};
    return TextEdit{before, end, ""};
  }

  std::string_view text_;
  const SelectorChange& change_;
  bool quoted_;
};

}  // namespace

std::optional<std::string> edit_selectors(std::string_view text,
                                          const std::vector<SelectorChange>& changes, bool quoted) {
  std::vector<TextEdit> edits;
  try {
    const auto root = YAML::Load(std::string(text));
    for (const auto& change : changes) {
      const auto pod_spec = find_path(root, change.pod_spec);
      if (!pod_spec || !pod_spec->value.IsMap()) return std::nullopt;
      auto edit = Editor(text, change, quoted).edit(*pod_spec);
      if (!edit) return std::nullopt;
      edits.push_back(std::move(*edit));
    }
  } catch (const YAML::Exception&) {
    return std::nullopt;
  }
  std::sort(edits.begin(), edits.end(),
            [](const TextEdit& a, const TextEdit& b) { return a.begin < b.begin; });
  std::string result;
  std::size_t done = 0;
  for (const auto& edit : edits) {
    if (edit.begin < done || edit.end < edit.begin || edit.end > text.size()) return std::nullopt;
    result.append(text.substr(done, edit.begin - done)).append(edit.text);
    done = edit.end;
  }
  return result.append(text.substr(done));
}

}  // namespace kcni::cni
