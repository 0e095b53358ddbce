package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
	"kubectl-cni/tests/nodes/prober/internal/report"
	"kubectl-cni/tests/nodes/prober/internal/span"
)

// inputs are the files that both sum and draw read.
type inputs struct {
	steps, restarts string
	late            time.Duration
}

func (in *inputs) define(flags *flag.FlagSet) {
	flags.StringVar(&in.steps, "steps", "", "`file` of lines UNIX_SECONDS TEXT")
	flags.StringVar(&in.restarts, "restarts", "", "`file` of lines POD FROM TO, in seconds since 1970")
	flags.DurationVar(&in.late, "late", logfile.Odd, "leave out when the prober itself was later than this")
}

// read parses the command line and reads the files that it names.
func (in *inputs) read(flags *flag.FlagSet, args []string) ([]report.Judged, []report.Step, error) {
	logs, err := parse(flags, args)
	if err != nil {
		return nil, nil, err
	}
	if len(logs) == 0 {
		return nil, nil, misused(flags, "no logs given")
	}
	if in.late < logfile.Odd {
		return nil, nil, misused(flags, fmt.Sprintf("--late must be %v at least", logfile.Odd))
	}
	var sessions []*logfile.Session
	for _, path := range logs {
		err := readFile(path, logfile.Read, func(s []*logfile.Session) { sessions = append(sessions, s...) })
		if err != nil {
			return nil, nil, err
		}
	}
	var steps []report.Step
	if err := readFile(in.steps, report.ReadSteps, func(s []report.Step) { steps = s }); err != nil {
		return nil, nil, err
	}
	var restarts map[string]span.Set
	if err := readFile(in.restarts, report.ReadRestarts, func(r map[string]span.Set) { restarts = r }); err != nil {
		return nil, nil, err
	}
	return report.JudgeAll(sessions, in.late, restarts), steps, nil
}

// readFile reads a file, if one is named, and names it in what went wrong.
func readFile[T any](path string, read func(io.Reader) (T, error), use func(T)) error {
	if path == "" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	value, err := read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	use(value)
	return nil
}

// percentVar reads a percentage, with or without its sign.
func percentVar(to **float64) func(string) error {
	return func(text string) error {
		value, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		*to = &value
		return err
	}
}

func listVar(to *[]string) func(string) error {
	return func(text string) error {
		*to = strings.Split(text, ",")
		return nil
	}
}
