// world is the one binary of the throw-away cluster: a real Kubernetes control plane, simulated
// kubelets (kwok), kubectl, and our own daemon that plays the nodes' networks.
//
// One link holds them all, because they share nearly all of their code: five binaries would take
// five times the disk and the linking. Which one to be is chosen by argv[0] or the first argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	_ "time/tzdata" // CronJobs may name a time zone; the machine need not have the data

	"kubectl-cni/tests/cluster/world/faults"
)

// commands maps a name to what it runs. Each reads os.Args and ends by os.Exit or by returning.
var commands = map[string]func(){
	"etcd":                    etcd,
	"kube-apiserver":          apiServer,
	"kube-controller-manager": controllerManager,
	"kube-scheduler":          scheduler,
	"kubectl":                 kubectl,
	"kwok":                    kwok,
	"serve":                   serve,
	"faults":                  faults.Main,
}

func main() {
	// A kubectl plugin may call KUBECTL through any name of a link, so argv[0] decides first.
	if run, ok := commands[filepath.Base(os.Args[0])]; ok {
		run()
		return
	}
	if len(os.Args) > 1 {
		if run, ok := commands[os.Args[1]]; ok {
			os.Args = os.Args[1:]
			run()
			return
		}
	}
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintf(os.Stderr, "usage: world %s [FLAG...]\n", strings.Join(names, "|"))
	os.Exit(2)
}
