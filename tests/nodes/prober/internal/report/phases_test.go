package report

import (
	"slices"
	"strings"
	"testing"

	"kubectl-cni/tests/nodes/prober/internal/span"
)

func TestParsePhase(t *testing.T) {
	for text, want := range map[string]Phase{
		"islands=1700000000.25..1700000100": {"islands", span.Span{From: 1700000000250000000, To: 1700000100000000000}},
		"before=..1700000000.000000001":     {"before", span.Span{From: beginning, To: 1700000000000000001}},
		"all=..":                            {"all", span.Span{From: beginning, To: end}},
	} {
		if got, err := ParsePhase(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a", "a=1", "=1..2", "a=2..1", "a=x..2", "a=1..2.x", "a=-1..2"} {
		if got, err := ParsePhase(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestReadSteps(t *testing.T) {
	got, err := ReadSteps(strings.NewReader("# playbook\n1000.5 label the nodes\n\n1001 pin\n"))
	if want := []Step{{1000.5e9, "label the nodes"}, {1001e9, "pin"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ReadSteps(strings.NewReader("1000 a\nb 1000\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
}

func TestReadRestarts(t *testing.T) {
	got, err := ReadRestarts(strings.NewReader("web-0 10 20\nweb-1 30 -\nweb-0 15 25\n"))
	if err != nil || !slices.Equal(got["web-0"], span.Set{{From: 10e9, To: 25e9}}) ||
		!slices.Equal(got["web-1"], span.Set{{From: 30e9, To: end}}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ReadRestarts(strings.NewReader("web-0 10\n")); err == nil {
		t.Error("no error")
	}
}
