package faults

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const usage = `usage: world faults [FLAG...] -- COMMAND [ARGUMENT...]

Runs COMMAND with a KUBECONFIG that leads through a proxy in which things go wrong, to the server
of this process's own KUBECONFIG and with its identity. Ends as COMMAND does (137 if it was killed);
125: the proxy or --before-first-write failed. A write is a POST, PUT, PATCH or DELETE.

`

// failed is the exit code for failures of our own, as that of env and timeout.
const failed = 125

// options are the command line.
type options struct {
	faults                 Faults
	beforeFirst, countFile string
	command                []string
}

// Main is the command; it reads os.Args and ends the process.
func Main() {
	o := &options{}
	flags := flag.NewFlagSet("faults", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage); flags.PrintDefaults() }
	flags.IntVar(&o.faults.KillAfter, "kill-after", 0, "SIGKILL COMMAND once its `N`th write is answered")
	flags.IntVar(&o.faults.KillBefore, "kill-before", 0, "SIGKILL COMMAND instead of passing its `N`th write on")
	flags.StringVar(&o.countFile, "count", "", "write how many writes there were into this `FILE`")
	flags.BoolVar(&o.faults.ConflictFirstPatch, "conflict-first-patch", false,
		"answer the first PATCH of each path with 409")
	flags.DurationVar(&o.faults.SlowFirstDelete, "slow-first-delete", 0,
		"hold back the answer to the first DELETE for `DURATION`")
	flags.StringVar(&o.faults.LoseAnswer, "lose-answer", "",
		"hang up instead of answering the first `\"METHOD PLURAL\"`, which has been done")
	flags.StringVar(&o.beforeFirst, "before-first-write", "",
		"run this shell `COMMAND`, past the proxy, while the first write waits")
	flags.Var(&o.faults.SlowWatches, "slow-watch",
		"hold back the events of a resource's watches: `PLURAL=DURATION`; repeatable")
	_ = flags.Parse(os.Args[1:])
	if o.command = flags.Args(); len(o.command) == 0 {
		flags.Usage()
		os.Exit(2)
	}
	code, err := o.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
	}
	os.Exit(code)
}

func (o *options) run() (int, error) {
	config, err := adminConfig()
	if err != nil {
		return failed, err
	}
	dir, err := os.MkdirTemp("", "kubectl-cni-faults.")
	if err != nil {
		return failed, err
	}
	defer os.RemoveAll(dir)
	if o.beforeFirst != "" {
		o.faults.BeforeFirstWrite = o.runBeforeFirst
	}
	started, ended := make(chan struct{}), make(chan struct{})
	child := exec.Command(o.command[0], o.command[1:]...)
	o.faults.Kill = func() {
		<-started
		_ = child.Process.Kill()
		<-ended
	}
	kubeconfig, err := Start(config, dir, &o.faults)
	if err != nil {
		return failed, err
	}
	// kubectl keeps what it has discovered by the server's port, and ours is another one each time.
	child.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+filepath.Join(dir, "cache"))
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	// It ends with us, however we end. To the kernel "us" is this thread, which so must stay.
	runtime.LockOSThread()
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if err := child.Start(); err != nil {
		return failed, err
	}
	go passOn(signals, child.Process)
	close(started)
	err = child.Wait()
	close(ended)
	return o.outcome(child.ProcessState, err)
}

// passOn lets signals reach the child. A terminal's Ctrl-C has reached it already.
func passOn(signals <-chan os.Signal, child *os.Process) {
	for received := range signals {
		if received != syscall.SIGINT {
			_ = child.Signal(received)
		}
	}
}

func (o *options) outcome(state *os.ProcessState, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return failed, err
	}
	if o.countFile != "" {
		count := strconv.FormatInt(o.faults.Writes(), 10) + "\n"
		if err := os.WriteFile(o.countFile, []byte(count), 0o644); err != nil {
			return failed, err
		}
	}
	if err := o.faults.Err(); err != nil {
		return failed, err
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}

func (o *options) runBeforeFirst() error {
	if output, err := exec.Command("sh", "-c", o.beforeFirst).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", o.beforeFirst, err, bytes.TrimSpace(output))
	}
	return nil
}

func adminConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
}
