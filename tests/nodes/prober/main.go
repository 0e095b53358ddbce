// Command prober measures whether pods can talk while their cluster's network is being exchanged. It
// is the server that is talked to, what talks to it, and what sums up and draws the logs: README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const usage = `usage:
  prober serve [--listen :8080] [--echo :8081] [--drain 5s] [--name NAME] [--admit :8443 --tls DIR]
  prober certificate --host NAME --out DIR
  prober probe --targets FILE --log FILE [--rate 20] [--timeout 1s] [--from NAME]
  prober sum LOG... [--steps FILE | --phase NAME=FROM..TO ...] [--restarts FILE] [--late 50ms] [-o text|json]
             [--max-lost 0.1%] [--max-gap 150ms] [--max-late 2%] [--kinds KIND,...] [--in PHASE,...]
  prober draw LOG... -o FILE.svg [--steps FILE] [--restarts FILE] [--late 50ms] [--title TEXT]
`

// The exit codes.
const (
	done   = 0
	failed = 1 // also: out of bounds
	wrong  = 2 // usage
)

// errUsage is a wrong command line; what is wrong with it has been said.
var errUsage = errors.New("usage")

func main() {
	// A few hundred probes a second need no second processor, and handing them from thread to thread
	// costs more than the probes.
	runtime.GOMAXPROCS(1)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries a command line out and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"serve": serveCommand, "certificate": certificateCommand, "probe": probeCommand, "sum": sumCommand, "draw": drawCommand}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		return wrong
	}
	err := commands[args[0]](ctx, args[1:], stdout, stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return done
	case errors.Is(err, errUsage):
		return wrong
	}
	fmt.Fprintln(stderr, "prober:", err)
	return failed
}

// parse reads flags and arguments in any order.
func parse(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, errUsage
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// misused says what is wrong with the command line.
func misused(flags *flag.FlagSet, problem string) error {
	fmt.Fprintf(flags.Output(), "prober %s: %s\n%s", flags.Name(), problem, usage)
	return errUsage
}

func newFlags(name string, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	return flags
}
