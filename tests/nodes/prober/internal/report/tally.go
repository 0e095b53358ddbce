// Package report sums up the logs of all probers.
package report

import (
	"slices"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
	"kubectl-cni/tests/nodes/prober/internal/span"
)

// order is that in which kinds of probes are shown.
var order = []string{"pod", "clusterip", "nodeport", "dns", "node", "tcp"}

// Row is the sum of one kind's probes in one phase.
type Row struct {
	Kind      string  `json:"kind"`
	Phase     string  `json:"phase"`
	Sent      int     `json:"sent"` // all but those left out
	Lost      int     `json:"lost"` // without Restarted
	LostPart  float64 `json:"lost_percent"`
	Restarted int     `json:"lost_in_restart"`
	Gap       float64 `json:"longest_gap_ms"`
	GapWhere  string  `json:"longest_gap_where"`
	Slowest   float64 `json:"slowest_ms"`
	LeftOut   int     `json:"left_out"`
	LatePart  float64 `json:"late_percent"`
	Broken    int     `json:"connections_broken"`
	Down      float64 `json:"longest_down_ms"`

	Classes map[string]int `json:"lost_by_class,omitempty"`

	watched, late int64
}

// Tally sums up: a row for each kind in each phase, in the order in which they are shown.
func Tally(all []Judged, phases []Phase) (table []*Row) {
	for _, kind := range kindsOf(all) {
		for _, phase := range phases {
			row := &Row{Kind: kind, Phase: phase.Name, Classes: map[string]int{}}
			for _, s := range all {
				if s.Kind == kind {
					row.add(s, phase.Span)
				}
			}
			row.LostPart = percent(int64(row.Lost), int64(row.Sent))
			row.LatePart = percent(row.late, row.watched)
			table = append(table, row)
		}
	}
	return table
}

// kindsOf returns the kinds that were probed, in the order in which they are shown.
func kindsOf(all []Judged) (kinds []string) {
	for _, s := range all {
		if !slices.Contains(kinds, s.Kind) {
			kinds = append(kinds, s.Kind)
		}
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return place(a) - place(b) })
	return kinds
}

// add adds a series' part in a phase. A probe belongs to the phase in which it was sent, a gap to
// every phase that it touches.
func (r *Row) add(s Judged, phase span.Span) {
	for i, p := range s.Probes {
		if in(phase, p.Start) {
			r.count(p, s.Verdicts[i], s.Late)
		}
	}
	for _, gap := range s.Gaps {
		if span.Overlap(gap.Span, phase) > 0 && ms(gap.Length) > r.Gap {
			r.Gap, r.GapWhere = ms(gap.Length), s.From+" > "+s.Name+" at "+clock(gap.From)
		}
	}
	for _, b := range s.Breaks {
		if !in(phase, b.At) || s.Late.Touches(span.Span{From: b.At, To: b.At}) {
			continue
		}
		down := b.Down
		if down < 0 {
			down = s.End - b.At
		}
		r.Broken++
		r.Down = max(r.Down, ms(down))
	}
	watched := span.Span{From: max(s.Begin, phase.From), To: min(s.End, phase.To)}
	if watched.From < watched.To {
		r.watched += watched.To - watched.From
		r.late += s.Late.Covered(watched)
	}
}

func (r *Row) count(p logfile.Probe, verdict Verdict, late span.Set) {
	if verdict == LeftOut {
		r.LeftOut++
		return
	}
	r.Sent++
	switch verdict {
	case Lost:
		r.Lost++
		r.Classes[p.Class]++
	case Restarted:
		r.Restarted++
	case Answered:
		if !stoodStill(p, late) {
			r.Slowest = max(r.Slowest, ms(p.Latency))
		}
	}
}

func in(s span.Span, at int64) bool { return s.From <= at && at < s.To }

func place(kind string) int {
	if i := slices.Index(order, kind); i >= 0 {
		return i
	}
	return len(order)
}

func percent(part, whole int64) float64 { return 100 * float64(part) / float64(max(1, whole)) }

func ms(nanos int64) float64 { return float64(nanos/1000) / 1000 }

func clock(at int64) string { return time.Unix(0, at).UTC().Format("15:04:05.000") }
