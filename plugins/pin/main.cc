// kubectl cni pin: nodeSelectors that keep workloads, or a CNI, on the nodes of one CNI.
#include "plugins/pin/pin.h"

int main(int argc, char** argv) {
  return kcni::cli::run_main(kcni::pin::pin_command(), argc, argv);
}
