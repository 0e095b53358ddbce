// kubectl cni svc-recreate: Services deleted and made anew, with nothing lost on the way.
#include "plugins/svc-recreate/svc_recreate.h"

int main(int argc, char** argv) {
  return kcni::cli::run_main(kcni::svc_recreate::svc_recreate_command(), argc, argv);
}
