#include "common/cli/error_line.h"

#include "common/base/text.h"

namespace kcni::cli {

std::string error_line(const std::exception& error) {
  std::string text = printable(error.what());
  return text.starts_with("Error from server") ? text : "error: " + text;
}

}  // namespace kcni::cli
