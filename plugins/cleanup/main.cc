// kubectl cni cleanup: a node with nothing of flannel left.
#include "plugins/cleanup/cleanup.h"

int main(int argc, char** argv) {
  return kcni::cli::run_main(kcni::cleanup::cleanup_command(), argc, argv);
}
