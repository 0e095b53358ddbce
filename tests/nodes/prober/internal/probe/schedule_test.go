package probe

import (
	"testing"
	"time"
)

func TestNextKeepsTheScheduleAndSkipsWhatWasMissed(t *testing.T) {
	due := time.Unix(1000, 0)
	const period = 50 * time.Millisecond
	for late, want := range map[time.Duration]time.Duration{
		-time.Millisecond:      period, // a timer that fired early
		0:                      period,
		49 * time.Millisecond:  period,
		50 * time.Millisecond:  2 * period,
		320 * time.Millisecond: 7 * period,
	} {
		if got := next(due, due.Add(late), period).Sub(due); got != want {
			t.Errorf("%v late: next after %v, want %v", late, got, want)
		}
	}
}
