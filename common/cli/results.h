// What a command did, object by object, in the form that -o asks for.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "common/base/deadline.h"
#include "common/kube/json.h"
#include "common/kube/resource.h"

namespace kcni::cli {

enum class OutputFormat { kLines, kName, kJson, kYaml, kWide };

/// -o's value. Throws Error (kUsage) that names those that work.
OutputFormat parse_output(const std::string& value);

class Results {
 public:
  /// suffix: " (dry run)", " (server dry run)" or "".
  Results(std::ostream& out, OutputFormat format, std::string suffix)
      : out_(out), format_(format), suffix_(std::move(suffix)) {}

  /// "node/w1 labeled (cni=none)" or "node/w1 cordoned" when detail is empty. With -o name only the
  /// name; with -o json and yaml the object is kept for finish(). -o wide adds the namespace.
  void done(const kube::Resource& resource, const std::string& ns, const std::string& name,
            const std::string& what, const std::string& detail = "",
            const kube::Json& object = nullptr);

  /// With -o json, prints each done() at once as an event of one line instead of keeping objects:
  /// {"time":…,"event":"evicted","kind":"Pod","namespace":…,"name":…,"uid":…,"node":…}.
  void stream_events();
  /// One more such event, of something that is no result; nothing in another format.
  void event(const std::string& what, const kube::Resource& resource, const kube::Json& object,
             const std::string& message);

  /// Prints the kept objects as one object or a v1 List.
  void finish();

  /// Called before anything is printed.
  void before_printing(std::function<void()> hook) { before_ = std::move(hook); }

  OutputFormat format() const { return format_; }
  /// When done() was called last.
  Clock::time_point last_done() const { return last_done_; }

 private:
  std::ostream& out_;
  OutputFormat format_;
  std::string suffix_;
  Clock::time_point last_done_{};
  kube::Json event_of(const std::string& what, const kube::Resource& resource,
                      const kube::Json& object) const;

  std::vector<kube::Json> objects_;
  bool events_ = false;
  std::function<void()> before_ = [] {};
};

/// Block-style YAML of a JSON value, strings quoted wherever a YAML 1.1 reader could take them for
/// something else. Ends with a newline.
std::string to_yaml(const kube::Json& value);

}  // namespace kcni::cli
