package span

import (
	"slices"
	"testing"
)

func TestUnionSortsAndMerges(t *testing.T) {
	got := Union([]Span{{50, 60}, {10, 20}, {15, 30}, {30, 31}, {70, 65}, {62, 63}}, 0)
	if want := (Set{{10, 31}, {50, 60}, {62, 63}}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = Union([]Span{{10, 20}, {25, 30}, {36, 40}}, 5)
	if want := (Set{{10, 30}, {36, 40}}); !slices.Equal(got, want) {
		t.Errorf("with slack: got %v, want %v", got, want)
	}
}

func TestCoveredAndTouches(t *testing.T) {
	set := Set{{10, 20}, {30, 40}}
	for _, c := range []struct {
		s       Span
		covered int64
		touches bool
	}{
		{Span{0, 9}, 0, false},
		{Span{0, 10}, 0, true},
		{Span{0, 100}, 20, true},
		{Span{15, 35}, 10, true},
		{Span{20, 20}, 0, true},
		{Span{21, 29}, 0, false},
		{Span{41, 50}, 0, false},
	} {
		if got := set.Covered(c.s); got != c.covered {
			t.Errorf("Covered(%v) = %d, want %d", c.s, got, c.covered)
		}
		if got := set.Touches(c.s); got != c.touches {
			t.Errorf("Touches(%v) = %v, want %v", c.s, got, c.touches)
		}
	}
}
