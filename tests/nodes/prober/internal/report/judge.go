package report

import (
	"cmp"
	"slices"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
	"kubectl-cni/tests/nodes/prober/internal/span"
)

// Verdict is what a probe counts as.
type Verdict int

const (
	Answered  Verdict = iota
	Lost              // failed, and nothing excuses it
	Restarted         // failed while the pod it was sent to, or from, was being restarted
	LeftOut           // the prober itself was late
)

// Late returns when a prober was more than limit late: its standstills, and from when each late probe
// was due to when it was sent.
func Late(s *logfile.Session, limit time.Duration) span.Set {
	var late []span.Span
	for _, stall := range s.Stalls {
		if stall.To-stall.From > int64(limit) {
			late = append(late, stall)
		}
	}
	for _, series := range s.Series {
		for _, p := range series.Probes {
			if p.Late > int64(limit) {
				late = append(late, span.Span{From: p.Start - p.Late, To: p.Start})
			}
		}
	}
	return span.Union(late, 0)
}

// Judge sorts a series' probes by their start and gives the verdict on each.
func Judge(s *logfile.Series, late, restarts span.Set) []Verdict {
	slices.SortFunc(s.Probes, func(a, b logfile.Probe) int { return cmp.Compare(a.Start, b.Start) })
	verdicts := make([]Verdict, len(s.Probes))
	for i, p := range s.Probes {
		switch {
		case late.Touches(span.Span{From: p.Start, To: p.Start}):
			verdicts[i] = LeftOut
		case p.Class == "":
			verdicts[i] = Answered
		case stoodStill(p, late):
			verdicts[i] = LeftOut
		case restarts.Touches(life(p)):
			verdicts[i] = Restarted
		default:
			verdicts[i] = Lost
		}
	}
	return verdicts
}

func life(p logfile.Probe) span.Span { return span.Span{From: p.Start, To: p.Start + p.Latency} }

// stoodStill tells whether the prober mostly stood still, rather than waited for the probe's answer.
func stoodStill(p logfile.Probe, late span.Set) bool { return 2*late.Covered(life(p)) > p.Latency }

// Gap is the time from the start of one answered probe to that of the next. Before the first and after
// the last answered one, the first and the last probe stand in for what is missing.
type Gap struct {
	span.Span
	Length int64 // without the time for which something excuses it
}

// Gaps returns the gaps of a series whose probes are sorted.
func Gaps(s *logfile.Series, excused span.Set) (gaps []Gap) {
	from := int64(-1)
	add := func(to int64) {
		if from >= 0 && to > from {
			gap := span.Span{From: from, To: to}
			gaps = append(gaps, Gap{gap, to - from - excused.Covered(gap)})
		}
		from = to
	}
	for i, p := range s.Probes {
		if i == 0 || i == len(s.Probes)-1 || p.Class == "" {
			add(p.Start)
		}
	}
	return gaps
}

// Judged is a series with all that is said about it.
type Judged struct {
	From string
	*logfile.Series
	Late     span.Set  // when its prober was late
	Verdicts []Verdict // of Series.Probes
	Gaps     []Gap
}

// JudgeAll judges every series of the sessions.
func JudgeAll(sessions []*logfile.Session, limit time.Duration, restarts map[string]span.Set) (all []Judged) {
	for _, session := range sessions {
		late := Late(session, limit)
		for _, s := range session.Series {
			restarting := restarts[s.Name]
			if s.Kind == "pod" { // it has a pod at either end
				restarting = span.Union(slices.Concat(restarting, restarts[session.From]), 0)
			}
			verdicts := Judge(s, late, restarting)
			gaps := Gaps(s, span.Union(slices.Concat(late, restarting), 0))
			all = append(all, Judged{session.From, s, late, verdicts, gaps})
		}
	}
	return all
}
