package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/probe"
	"kubectl-cni/tests/nodes/prober/internal/serve"
)

func serveCommand(ctx context.Context, args []string, _, stderr io.Writer) error {
	var o serve.Options
	flags := newFlags("serve", stderr)
	flags.StringVar(&o.HTTP, "listen", ":8080", "`address` of the HTTP server")
	flags.StringVar(&o.Echo, "echo", ":8081", "`address` of the TCP echo; empty: none")
	flags.DurationVar(&o.Drain, "drain", 5*time.Second, "how long to serve on, unready, after SIGTERM")
	flags.StringVar(&o.Name, "name", defaultName(), "what to answer requests with")
	flags.StringVar(&o.Admit, "admit", "", "`address` of an admission webhook that allows all; empty: none")
	flags.StringVar(&o.TLS, "tls", "", "`directory` of the webhook's tls.crt and tls.key")
	if rest, err := parse(flags, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return misused(flags, "takes no arguments")
	} else if (o.Admit == "") != (o.TLS == "") {
		return misused(flags, "--admit and --tls go together")
	}
	counts, err := serve.Run(ctx, o)
	fmt.Fprintf(stderr, "served %d requests and %d messages\n", counts.Requests, counts.Messages)
	return err
}

func certificateCommand(_ context.Context, args []string, _, stderr io.Writer) error {
	flags := newFlags("certificate", stderr)
	host := flags.String("host", "", "`name` by which the webhook is called")
	dir := flags.String("out", "", "`directory` for tls.crt and tls.key")
	if rest, err := parse(flags, args); err != nil {
		return err
	} else if len(rest) > 0 || *host == "" || *dir == "" {
		return misused(flags, "--host and --out are needed, nothing else")
	}
	return serve.WriteCertificate(*dir, *host)
}

func probeCommand(ctx context.Context, args []string, _, stderr io.Writer) error {
	o := probe.Options{Warn: func(text string) { fmt.Fprintln(stderr, "prober:", text) }}
	flags := newFlags("probe", stderr)
	flags.StringVar(&o.Targets, "targets", "", "`file` of lines KIND NAME ADDRESS, read again when it changes")
	flags.StringVar(&o.Log, "log", "", "`file` to append to")
	flags.StringVar(&o.From, "from", strings.Fields(defaultName())[0], "this prober's `name` in the log")
	flags.DurationVar(&o.Timeout, "timeout", time.Second, "when a probe is given up")
	rate := flags.Float64("rate", 20, "probes a second for each target")
	if rest, err := parse(flags, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return misused(flags, "takes no arguments")
	}
	switch {
	case o.Targets == "" || o.Log == "":
		return misused(flags, "--targets and --log are needed")
	case *rate < 0.1 || *rate > 1000:
		return misused(flags, "--rate must be between 0.1 and 1000")
	case len(strings.Fields(o.From)) != 1:
		return misused(flags, "--from must be one word")
	}
	o.Period = time.Duration(float64(time.Second) / *rate)
	return probe.Run(ctx, o)
}

// defaultName is the pod's and the node's name where the pod's manifest passes them, else the host's.
func defaultName() string {
	name := os.Getenv("POD_NAME")
	if name == "" {
		name, _ = os.Hostname()
	}
	return strings.TrimSpace(strings.Join([]string{name, os.Getenv("NODE_NAME")}, " "))
}
