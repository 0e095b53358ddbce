// The command `label`: parse, plan, apply, wait.
#pragma once

#include "common/cli/command.h"

namespace kcni::label {

cli::Command label_command();

}  // namespace kcni::label
