// kubectl cni evict: a node without pods of the old CNI.
#include "plugins/evict/evict.h"

int main(int argc, char** argv) {
  return kcni::cli::run_main(kcni::evict::evict_command(), argc, argv);
}
