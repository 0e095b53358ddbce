package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kubectl-cni/tests/cluster/world/faults"
	"kubectl-cni/tests/cluster/world/host"
	"kubectl-cni/tests/cluster/world/plane"
	"kubectl-cni/tests/cluster/world/sim"
)

//go:embed stages.yaml
var kwokStages []byte

// options are what tests/cluster/up passes on.
type options struct {
	dir, manifests string
	topology       sim.Topology
	bare, noWait   bool
	slowWatches    faults.SlowWatches
	timeout        time.Duration
}

// serve makes one cluster and plays it until it is killed. It is started by tests/cluster/up in
// the world's own namespaces; its progress goes to stdout, the last line is "ready".
func serve() {
	var o options
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	flags.StringVar(&o.dir, "dir", "", "the world's directory")
	flags.StringVar(&o.manifests, "manifests", "", "what to create in the cluster")
	flags.IntVar(&o.topology.Workers, "workers", 5, "number of workers")
	flags.IntVar(&o.topology.ControlPlanes, "control-planes", 1, "number of control-plane nodes")
	flags.BoolVar(&o.bare, "bare", false, "nodes only")
	flags.BoolVar(&o.noWait, "no-wait", false, "do not wait until everything is ready")
	flags.Var(&o.slowWatches, "slow-watch", "PLURAL=DURATION: what the controller manager hears late")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to wait")
	_ = flags.Parse(os.Args[1:])

	// up may be killed while we start, and its end of the pipe with it: that must not kill us.
	signal.Ignore(syscall.SIGPIPE)
	go endWithout(filepath.Join(o.dir, "id"))
	if err := o.run(); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// endWithout ends the world when its id is gone: whoever removed its directory, without `down`,
// has also removed what `down` would find it by.
func endWithout(id string) {
	for {
		if _, err := os.Stat(id); os.IsNotExist(err) {
			os.Exit(0)
		}
		time.Sleep(time.Second)
	}
}

func (o *options) run() error {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()

	binary, err := os.Executable()
	if err != nil {
		return err
	}
	p := &plane.Plane{Dir: o.dir, Binary: binary, Address: sim.NodeAddress(), Stages: kwokStages,
		SlowWatches: o.slowWatches, Failed: make(chan error, 1)}
	if err := p.Start(ctx); err != nil {
		return err
	}
	say("API server ready")

	client, err := p.Client()
	if err != nil {
		return err
	}
	cluster, err := sim.NewCluster(client, o.topology, filepath.Join(o.dir, "nodes"))
	if err != nil {
		return err
	}
	if err := writeSSH(filepath.Join(o.dir, "ssh"), cluster, o.topology.Names()); err != nil {
		return err
	}
	if err := (&host.Host{Dir: o.dir, Cluster: cluster}).Start(); err != nil {
		return err
	}
	if err := p.StartControllers(); err != nil {
		return err
	}
	if err := cluster.CreateNodes(ctx); err != nil {
		return fmt.Errorf("create nodes: %w", err)
	}
	say("%d nodes created", len(o.topology.Names()))
	if err := cluster.Run(context.Background()); err != nil {
		return err
	}
	if err := o.fill(ctx, p, cluster, say); err != nil {
		return err
	}
	fmt.Println("ready")

	return <-p.Failed // a world without one of its components is none
}

// fill creates the content and waits until it has settled.
func (o *options) fill(ctx context.Context, p *plane.Plane, cluster *sim.Cluster, say func(string, ...any)) error {
	if o.bare {
		if err := p.Kubectl(ctx, "create", "-f", filepath.Join(o.manifests, "00-namespaces.yaml")); err != nil {
			return err
		}
		return cluster.WaitServiceAccounts(ctx)
	}
	files, err := filepath.Glob(filepath.Join(o.manifests, "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no manifests in %q", o.manifests)
	}
	// Namespaces come first: a bare Pod needs its namespace's ServiceAccount.
	for i, group := range []string{files[0], strings.Join(files[1:], ",")} {
		if err := p.Kubectl(ctx, "create", "--validate=ignore", "-f", group); err != nil {
			return err
		}
		if i == 0 {
			if err := cluster.WaitServiceAccounts(ctx); err != nil {
				return err
			}
		}
	}
	say("workloads created")
	if o.noWait {
		return nil
	}
	if err := cluster.WaitSettled(ctx); err != nil {
		return err
	}
	say("everything ready")
	return nil
}

// writeSSH makes the operator's key, the nodes' host key (one for all of them), a known_hosts that
// is right and one that is wrong.
func writeSSH(dir string, cluster *sim.Cluster, names []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	public := map[string]string{}
	for _, name := range []string{"key", "host_key", "other_key"} {
		path := filepath.Join(dir, name)
		keygen := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "world", "-f", path)
		if output, err := keygen.CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %w: %s", err, output)
		}
		key, err := os.ReadFile(path + ".pub")
		if err != nil {
			return err
		}
		public[name] = string(key)
	}
	var right, wrong strings.Builder
	for _, name := range names {
		hosts := cluster.Node(name).Address.String() + "," + name
		fmt.Fprintf(&right, "%s %s", hosts, public["host_key"])
		fmt.Fprintf(&wrong, "%s %s", hosts, public["other_key"])
	}
	if err := os.WriteFile(filepath.Join(dir, "known_hosts"), []byte(right.String()), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "known_hosts.wrong"), []byte(wrong.String()), 0o600)
}
