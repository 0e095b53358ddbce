package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"kubectl-cni/tests/nodes/prober/internal/span"
)

// Phase is a part of the run that gets rows of its own; phases may overlap.
type Phase struct {
	Name string
	span.Span
}

// Step is something that was done at a moment.
type Step struct {
	At   int64
	Text string
}

const beginning, end = math.MinInt64 / 4, math.MaxInt64 / 4

// PhasesOf divides the run by its steps: before the first, during, after the last.
func PhasesOf(steps []Step) []Phase {
	if len(steps) == 0 {
		return []Phase{{"all", span.Span{From: beginning, To: end}}}
	}
	first, last := steps[0].At, steps[0].At
	for _, s := range steps {
		first, last = min(first, s.At), max(last, s.At)
	}
	return []Phase{
		{"before", span.Span{From: beginning, To: first}},
		{"during", span.Span{From: first, To: last}},
		{"after", span.Span{From: last, To: end}},
	}
}

// ParsePhase reads NAME=FROM..TO, in seconds since 1970; either end may be left open.
func ParsePhase(text string) (Phase, error) {
	name, rest, named := strings.Cut(text, "=")
	from, to, ranged := strings.Cut(rest, "..")
	s, err := parseSpan(from, to)
	if !named || !ranged || name == "" || err != nil {
		return Phase{}, fmt.Errorf("want NAME=FROM..TO in seconds since 1970, got %q", text)
	}
	return Phase{name, s}, nil
}

// ReadSteps reads lines UNIX_SECONDS TEXT.
func ReadSteps(in io.Reader) (steps []Step, err error) {
	err = eachLine(in, func(f []string) error {
		at, err := parseSeconds(f[0])
		steps = append(steps, Step{at, strings.Join(f[1:], " ")})
		return err
	})
	return steps, err
}

// ReadRestarts reads lines POD FROM TO: when which pod was being restarted. TO may be "-": it still is.
func ReadRestarts(in io.Reader) (map[string]span.Set, error) {
	spans := map[string][]span.Span{}
	err := eachLine(in, func(f []string) error {
		if len(f) != 3 {
			return errors.New("want POD FROM TO")
		}
		s, err := parseSpan(f[1], strings.TrimPrefix(f[2], "-"))
		spans[f[0]] = append(spans[f[0]], s)
		return err
	})
	sets := map[string]span.Set{}
	for pod, s := range spans {
		sets[pod] = span.Union(s, 0)
	}
	return sets, err
}

func eachLine(in io.Reader, do func(fields []string) error) error {
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if err := do(f); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func parseSpan(from, to string) (s span.Span, err error) {
	s = span.Span{From: beginning, To: end}
	if from != "" {
		s.From, err = parseSeconds(from)
	}
	if to != "" && err == nil {
		s.To, err = parseSeconds(to)
	}
	if err == nil && s.To < s.From {
		err = fmt.Errorf("%s is after %s", from, to)
	}
	return s, err
}

// parseSeconds reads seconds since 1970 with up to nine decimals, exactly.
func parseSeconds(text string) (int64, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	fraction = (fraction + "000000000")[:max(9, len(fraction))]
	seconds, err := strconv.ParseUint(whole, 10, 33)
	nanos, err2 := strconv.ParseUint(fraction, 10, 30)
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("want seconds since 1970, got %q", text)
	}
	return int64(seconds*1e9 + nanos), nil
}
