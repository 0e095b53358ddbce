package draw

import (
	"fmt"
	"strings"

	"kubectl-cni/tests/nodes/prober/internal/report"
)

// marks are the steps, numbered; the marks of those close to each other are in rows of their own.
type marks struct {
	steps []report.Step
	row   []int
	rows  int
}

const (
	markWidth  = 20
	mostRows   = 5
	mostLetter = 72 // of a step's text, in half the picture's width
)

func place(steps []report.Step, a axis) marks {
	m := marks{steps: steps, row: make([]int, len(steps))}
	var ends [mostRows]float64
	for i, s := range steps {
		x := a.x(s.At)
		for r := range ends {
			if m.row[i] = r; x >= ends[r] {
				break
			}
		}
		ends[m.row[i]] = x + markWidth
		m.rows = max(m.rows, m.row[i]+1)
	}
	return m
}

// draw writes each step's line, down to bottom, and its number above.
func (m marks) draw(b *strings.Builder, a axis, bottom float64) {
	for i, s := range m.steps {
		x, y := a.x(s.At), float64(lanesFrom+m.row[i]*markHeight)
		fmt.Fprintf(b, `<g><title>%s</title><path class="step" d="M%.1f %.0fV%.0f"/>`, escape(s.Text), x, y, bottom)
		fmt.Fprintf(b, `<circle class="mark" cx="%.1f" cy="%.0f" r="9"/>`, x, y)
		fmt.Fprintf(b, `<text class="number" x="%.1f" y="%.0f">%d</text></g>`+"\n", x, y+4, i+1)
	}
}

// list writes what the numbers stand for, in two columns.
func (m marks) list(b *strings.Builder, a axis, y float64) {
	perColumn := (len(m.steps) + 1) / 2
	for i, s := range m.steps {
		x := left + i/perColumn*(plot+right)/2
		text := []rune(s.Text)
		if len(text) > mostLetter {
			text = append(text[:mostLetter-1], '…')
		}
		fmt.Fprintf(b, `<text class="soft" x="%d" y="%.0f">%d<tspan x="%d">%s</tspan><tspan x="%d">%s</tspan></text>`+"\n",
			x, y+float64(i%perColumn*line), i+1, x+24, elapsed(s.At-a.from, 1e9), x+70, escape(string(text)))
	}
}
