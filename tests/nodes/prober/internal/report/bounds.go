package report

import (
	"fmt"
	"slices"
	"time"
)

// Bounds are what a run is held to. Kinds and Phases say which rows; none stands for all.
type Bounds struct {
	MaxLost, MaxLate *float64 // percent
	MaxGap           *time.Duration
	Kinds, Phases    []string
}

// Exceeded says where the rows are out of bounds. What was to be bounded but has no probe is, too.
func (b Bounds) Exceeded(rows []*Row) (all []string) {
	if b.MaxLost == nil && b.MaxLate == nil && b.MaxGap == nil {
		return nil
	}
	for _, row := range rows {
		if chosen(b.Kinds, row.Kind) && chosen(b.Phases, row.Phase) {
			all = append(all, b.exceeds(row)...)
		}
	}
	return append(all, b.missing(rows)...)
}

func (b Bounds) exceeds(row *Row) (all []string) {
	say := func(format string, a ...any) {
		all = append(all, row.Kind+" "+row.Phase+": "+fmt.Sprintf(format, a...))
	}
	if row.Sent == 0 {
		say("no probe was counted")
	}
	if b.MaxLost != nil && row.LostPart > *b.MaxLost {
		say("%.3f %% lost (%d of %d), at most %g %%", row.LostPart, row.Lost, row.Sent, *b.MaxLost)
	}
	if b.MaxGap != nil && row.Gap > b.MaxGap.Seconds()*1000 {
		say("a gap of %.0f ms (%s), at most %v", row.Gap, row.GapWhere, *b.MaxGap)
	}
	if b.MaxLate != nil && row.LatePart > *b.MaxLate {
		say("the prober was late for %.2f %% of the time, at most %g %%", row.LatePart, *b.MaxLate)
	}
	return all
}

func (b Bounds) missing(rows []*Row) (all []string) {
	for _, kind := range b.Kinds {
		if !slices.ContainsFunc(rows, func(r *Row) bool { return r.Kind == kind }) {
			all = append(all, kind+": not probed")
		}
	}
	for _, phase := range b.Phases {
		if !slices.ContainsFunc(rows, func(r *Row) bool { return r.Phase == phase }) {
			all = append(all, phase+": no such phase")
		}
	}
	if len(rows) == 0 {
		all = append(all, "no probes in the logs")
	}
	return all
}

func chosen(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }
