// Package draw draws the lost probes over time, as one SVG that needs nothing else.
package draw

import (
	"fmt"
	"html"
	"io"
	"strings"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/report"
)

// The picture's measures, in pixels.
const (
	left, plot, right     = 100, 960, 140
	laneHeight, laneApart = 52, 12
	lanesFrom             = 76 // below title and subtitle, without the marks of the steps
	markHeight            = 20
	line                  = 18 // of text
)

const style = `<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 20px; font-weight: 600 }
.soft { fill: #59636e; font-size: 12px }
.kind { font-weight: 600; text-anchor: end }
.middle { text-anchor: middle }
.page { fill: #ffffff }
.lane { fill: #f3f5f7 }
.grid { stroke: #d1d9e0; fill: none }
.lost { fill: #cf222e }
.restarted { fill: #d4a72c }
.late { fill: url(#hatch) }
.hatch { stroke: #8c959f; fill: none }
.step { stroke: #0969da; fill: none; stroke-dasharray: 3 3 }
.mark { fill: #0969da }
.number { fill: #ffffff; font-size: 11px; font-weight: 600; text-anchor: middle }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.soft { fill: #9198a1 }
.page { fill: #0d1117 }
.lane { fill: #1b222b }
.grid { stroke: #3d444d }
.lost { fill: #ff7b72 }
.restarted { fill: #d29922 }
.hatch { stroke: #6e7681 }
.step { stroke: #58a6ff }
.mark { fill: #58a6ff }
.number { fill: #0d1117 }
}
</style>
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse">
<path class="hatch" d="M-1 1l2-2M0 6l6-6M5 7l2-2"/></pattern></defs>
`

// SVG draws the series: a lane for each kind, and a line for each step.
func SVG(out io.Writer, title string, all []report.Judged, steps []report.Step) error {
	a, probes := extent(all, steps)
	if probes == 0 {
		return fmt.Errorf("no probes to draw")
	}
	rows := report.Tally(all, report.PhasesOf(nil)) // one for each kind
	marks := place(steps, a)
	top := float64(lanesFrom + marks.rows*markHeight)
	bottom := top + float64(len(rows)*(laneHeight+laneApart)-laneApart)
	height := bottom + 64 + float64((len(steps)+1)/2*line)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%[1]d" height="%.0[2]f" `+
		`role="img" aria-label="%s">`+"\n", left+plot+right, height, escape(title))
	fmt.Fprintf(&b, "<title>%s</title>\n%s", escape(title), style)
	fmt.Fprintf(&b, `<rect class="page" width="%d" height="%.0f"/>`+"\n", left+plot+right, height)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="34">%s</text>`+"\n", left, escape(title))
	fmt.Fprintf(&b, `<text class="soft" x="%d" y="56">%d probes, from %s UTC on. A bar is the part of the probes of `+
		`%d ms that was lost.</text>`+"\n", left, probes, time.Unix(0, a.from).UTC().Format("2006-01-02 15:04:05"), bin/1e6)
	a.draw(&b, top, bottom)
	for i, row := range rows {
		newLane(row, all, a.from).draw(&b, a, top+float64(i*(laneHeight+laneApart)))
	}
	marks.draw(&b, a, bottom)
	drawKey(&b, bottom+46)
	marks.list(&b, a, bottom+46+line+6)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// extent is the time that the picture shows, and how many probes there are.
func extent(all []report.Judged, steps []report.Step) (a axis, probes int) {
	show := func(at int64) {
		if a.from == 0 {
			a = axis{at, at}
		}
		a = axis{min(a.from, at), max(a.to, at)}
	}
	for _, s := range all {
		show(s.Begin)
		show(s.End)
		probes += len(s.Probes)
	}
	for _, s := range steps {
		show(s.At)
	}
	return a, probes
}

func drawKey(b *strings.Builder, y float64) {
	x := left
	for _, entry := range []struct {
		class, text string
		width       int
	}{
		{"lost", "lost", 70},
		{"restarted", "lost while that pod was being restarted", 280},
		{"late", "left out: the prober itself was late", 260},
	} {
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%.0f" width="14" height="12"/>`, entry.class, x, y-10)
		fmt.Fprintf(b, `<text class="soft" x="%d" y="%.0f">%s</text>`+"\n", x+20, y, entry.text)
		x += entry.width
	}
}

func escape(text string) string { return html.EscapeString(text) }
