package draw

import (
	"fmt"
	"slices"
	"strings"

	"kubectl-cni/tests/nodes/prober/internal/report"
	"kubectl-cni/tests/nodes/prober/internal/span"
)

// bin is the time that one bar stands for.
const bin = int64(100e6)

// lane is one kind's part of the picture.
type lane struct {
	row                   *report.Row
	sent, lost, restarted map[int64]int // probes by bin
	late                  []span.Span   // of any of its probers
}

func newLane(row *report.Row, all []report.Judged, begin int64) lane {
	l := lane{row: row, sent: map[int64]int{}, lost: map[int64]int{}, restarted: map[int64]int{}}
	for _, s := range all {
		if s.Kind != row.Kind {
			continue
		}
		for i, p := range s.Probes {
			at := (p.Start - begin) / bin
			l.sent[at]++
			switch s.Verdicts[i] {
			case report.Lost:
				l.lost[at]++
			case report.Restarted:
				l.restarted[at]++
			}
		}
		for _, late := range s.Late {
			if span.Overlap(late, span.Span{From: s.Begin, To: s.End}) > 0 {
				l.late = append(l.late, late)
			}
		}
	}
	return l
}

// draw writes the lane with its upper edge at y.
func (l lane) draw(b *strings.Builder, a axis, y float64) {
	fmt.Fprintf(b, "<g><title>%s: %d of %d probes lost, longest gap %.0f ms (%s)</title>\n", escape(l.row.Kind), l.row.Lost,
		l.row.Sent, l.row.Gap, escape(l.row.GapWhere))
	fmt.Fprintf(b, `<rect class="lane" x="%d" y="%.0f" width="%d" height="%d"/>`+"\n", left, y, plot, laneHeight)
	fmt.Fprintf(b, `<text class="kind" x="%d" y="%.0f">%s</text>`+"\n", left-12, y+laneHeight/2+5, escape(l.row.Kind))
	fmt.Fprintf(b, `<text x="%d" y="%.0f">%s lost</text>`+"\n", left+plot+12, y+laneHeight/2-4, share(l.row))
	fmt.Fprintf(b, `<text class="soft" x="%d" y="%.0f">gap %.0f ms</text>`+"\n", left+plot+12,
		y+laneHeight/2+13, l.row.Gap)
	if path := l.hatch(a, y); path != "" {
		fmt.Fprintf(b, `<path class="late" d="%s"/>`+"\n", path)
	}
	both := map[int64]int{}
	for at, n := range l.lost {
		both[at] += n
	}
	for at, n := range l.restarted {
		both[at] += n
	}
	if len(l.restarted) > 0 {
		fmt.Fprintf(b, `<path class="restarted" d="%s"/>`+"\n", l.bars(both, a, y))
	}
	if len(l.lost) > 0 {
		fmt.Fprintf(b, `<path class="lost" d="%s"/>`+"\n", l.bars(l.lost, a, y))
	}
	b.WriteString("</g>\n")
}

// bars are as high as the part of a bin's probes that was lost, but never too low to be seen.
func (l lane) bars(count map[int64]int, a axis, y float64) string {
	var path strings.Builder
	bins := make([]int64, 0, len(count))
	for at := range count {
		bins = append(bins, at)
	}
	slices.Sort(bins)
	width := max(1, a.width(bin))
	for _, at := range bins {
		height := max(4, laneHeight*float64(count[at])/float64(l.sent[at]))
		fmt.Fprintf(&path, "M%.1f %.1fv-%.1fh%.1fv%.1fz", a.x(a.from+at*bin), y+laneHeight, height, width, height)
	}
	return path.String()
}

// hatch draws what lies less than a pixel apart as one.
func (l lane) hatch(a axis, y float64) string {
	var path strings.Builder
	for _, s := range span.Union(l.late, int64(float64(a.to-a.from)/plot)) {
		s.From, s.To = max(s.From, a.from), min(s.To, a.to)
		fmt.Fprintf(&path, "M%.1f %.0fh%.1fv%dh-%.1fz", a.x(s.From), y, max(1, a.width(s.To-s.From)), laneHeight,
			max(1, a.width(s.To-s.From)))
	}
	return path.String()
}

func share(r *report.Row) string {
	if r.Lost == 0 {
		return "none"
	}
	return fmt.Sprintf("%.3g %%", r.LostPart)
}
