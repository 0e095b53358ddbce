// kubectl cni label: the node label that says which CNI a node has.
#include "plugins/label/label.h"

int main(int argc, char** argv) {
  return kcni::cli::run_main(kcni::label::label_command(), argc, argv);
}
