// kubectl cni: hands over to kubectl-cni-WORD; alone it says which there are.
#include "common/cli/dispatch.h"

int main(int argc, char** argv) {
  return kcni::cli::run_dispatcher(argc, argv);
}
