// Package logfile writes and reads a prober's log.
//
// A log is lines of text, appended to, and small: a second of 20 good probes is one line of some 150
// bytes, a lost probe one of some 30. Times are microseconds of the monotonic clock since the
// session's BASE (nanoseconds since 1970), lengths are microseconds:
//
//	P 1 FROM BASE                      a prober starts (1 is the format's version)
//	T ID AT KIND NAME ADDRESS          a target is probed from now on
//	A ID AT ADDRESS                    the target has moved
//	E ID AT                            the target is no longer probed
//	r ID START LATENCY LATE STEP...    probes in a row that were answered: the first one's start, the
//	                                   highest latency and lateness, the time from each start to the next
//	s ID START LATENCY LATE            one answered probe that was slow, or late
//	f ID START LATENCY LATE CLASS      a probe that failed
//	b ID AT CLASS                      a long-lived connection broke
//	c ID AT DOWN                       a new one has answered, DOWN after the old one broke
//	w START LENGTH                     the whole prober stood still
//
// Lateness is the time from when a probe was due to when it was sent.
package logfile

import "time"

const (
	version = "1"

	// Odd is how slow or late an answered probe may be before it gets a line of its own.
	Odd = 50 * time.Millisecond

	// longestRun bounds the line of a run, and so what a killed prober's log lacks.
	longestRun = 100
)

// Result is the outcome of one probe.
type Result struct {
	Seq     int // counts the target's probes, so that a hole is seen
	Start   time.Time
	Latency time.Duration
	Late    time.Duration
	Class   string // what went wrong; empty if it was answered
}
