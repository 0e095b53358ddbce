// The command svc-recreate.
#pragma once

#include "common/cli/command.h"

namespace kcni::svc_recreate {

cli::Command svc_recreate_command();

}  // namespace kcni::svc_recreate
