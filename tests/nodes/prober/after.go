package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/draw"
	"kubectl-cni/tests/nodes/prober/internal/report"
)

func sumCommand(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags("sum", stderr)
	var in inputs
	in.define(flags)
	var phases []report.Phase
	flags.Func("phase", "`NAME=FROM..TO` in seconds since 1970, instead of before, during and after the steps",
		func(text string) error {
			phase, err := report.ParsePhase(text)
			phases = append(phases, phase)
			return err
		})
	var bounds report.Bounds
	flags.Func("max-lost", "most `percent` of probes that may be lost", percentVar(&bounds.MaxLost))
	flags.Func("max-late", "most `percent` of the time for which the prober may be late", percentVar(&bounds.MaxLate))
	flags.Func("max-gap", "longest `time` that a gap may take", func(text string) error {
		gap, err := time.ParseDuration(text)
		bounds.MaxGap = &gap
		return err
	})
	flags.Func("kinds", "`kinds` that are held to the bounds, by commas", listVar(&bounds.Kinds))
	flags.Func("in", "`phases` that are held to the bounds, by commas", listVar(&bounds.Phases))
	format := flags.String("o", "text", "text or json")
	judged, steps, err := in.read(flags, args)
	if err != nil {
		return err
	}
	if phases == nil {
		phases = report.PhasesOf(steps)
	}
	rows := report.Tally(judged, phases)
	exceeded := bounds.Exceeded(rows)
	switch *format {
	case "text":
		err = report.WriteTable(stdout, rows)
	case "json":
		err = report.WriteJSON(stdout, rows, exceeded)
	default:
		return misused(flags, "-o is text or json")
	}
	if err == nil && len(exceeded) > 0 {
		err = fmt.Errorf("out of bounds:\n  %s", strings.Join(exceeded, "\n  "))
	}
	return err
}

func drawCommand(_ context.Context, args []string, _, stderr io.Writer) error {
	flags := newFlags("draw", stderr)
	var in inputs
	in.define(flags)
	title := flags.String("title", "Probes lost while the cluster's network was exchanged", "the picture's title")
	path := flags.String("o", "", "`file` to draw into")
	judged, steps, err := in.read(flags, args)
	if err != nil {
		return err
	}
	if *path == "" {
		return misused(flags, "-o is needed")
	}
	file, err := os.Create(*path)
	if err != nil {
		return err
	}
	err = draw.SVG(file, *title, judged, steps)
	if e := file.Close(); err == nil {
		err = e
	}
	return err
}
