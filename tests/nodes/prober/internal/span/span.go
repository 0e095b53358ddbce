// Package span does arithmetic with stretches of time, in nanoseconds since 1970.
package span

import (
	"cmp"
	"slices"
	"sort"
)

// Span is the time from From up to To.
type Span struct{ From, To int64 }

// Overlap tells how much of a lies in b.
func Overlap(a, b Span) int64 { return max(0, min(a.To, b.To)-max(a.From, b.From)) }

// Set is a sorted list of spans that do not touch each other; Union makes one.
type Set []Span

// Union makes a set of spans in any order; those less than slack apart become one.
func Union(spans []Span, slack int64) Set {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	var set Set
	for _, s := range sorted {
		if s.To < s.From {
			continue
		}
		if last := len(set) - 1; last >= 0 && s.From-slack <= set[last].To {
			set[last].To = max(set[last].To, s.To)
		} else {
			set = append(set, s)
		}
	}
	return set
}

// Covered tells how much of s lies in the set.
func (set Set) Covered(s Span) (sum int64) {
	for i := set.firstEndingFrom(s.From); i < len(set) && set[i].From < s.To; i++ {
		sum += Overlap(set[i], s)
	}
	return sum
}

// Touches tells whether s and the set share a moment, ends included.
func (set Set) Touches(s Span) bool {
	i := set.firstEndingFrom(s.From)
	return i < len(set) && set[i].From <= s.To
}

func (set Set) firstEndingFrom(at int64) int {
	return sort.Search(len(set), func(i int) bool { return set[i].To >= at })
}
