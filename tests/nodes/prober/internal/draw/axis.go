package draw

import (
	"fmt"
	"strings"
)

// axis puts times onto the picture.
type axis struct{ from, to int64 }

func (a axis) x(at int64) float64 { return left + a.width(at-a.from) }

func (a axis) width(length int64) float64 {
	return plot * float64(length) / float64(max(1, a.to-a.from))
}

// draw writes grid lines from top to bottom, each with its time since the beginning below.
func (a axis) draw(b *strings.Builder, top, bottom float64) {
	step := a.step()
	for at := int64(0); at <= a.to-a.from; at += step {
		x := a.x(a.from + at)
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %.0fV%.0f"/>`, x, top, bottom+5)
		fmt.Fprintf(b, `<text class="soft middle" x="%.1f" y="%.0f">%s</text>`+"\n", x, bottom+20, elapsed(at, step))
	}
}

// step is the time between two grid lines: the shortest round one that leaves room for the labels.
func (a axis) step() int64 {
	for _, ms := range []int64{100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 1800e3} {
		if step := ms * 1e6; (a.to-a.from)/step <= 15 {
			return step
		}
	}
	return 3600e9
}

// elapsed is a time since the beginning as m:ss, with a decimal where the step needs it.
func elapsed(nanos, step int64) string {
	tenths := nanos / 1e8
	text := fmt.Sprintf("%d:%02d", tenths/600, tenths/10%60)
	if step < 1e9 {
		text += fmt.Sprintf(".%d", tenths%10)
	}
	return text
}
