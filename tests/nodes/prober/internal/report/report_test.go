package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
	"kubectl-cni/tests/nodes/prober/internal/span"
)

// judge reads a log whose session begins at second 1000; its times are then microseconds after that.
func judge(t *testing.T, log string, restarts map[string]span.Set) []Judged {
	t.Helper()
	sessions, err := logfile.Read(strings.NewReader("P 1 w1 1000000000000\n" + log))
	if err != nil {
		t.Fatal(err)
	}
	return JudgeAll(sessions, 50*time.Millisecond, restarts)
}

// seconds is a span after second 1000.
func seconds(from, to float64) span.Span {
	return span.Span{From: 1000e9 + int64(from*1e9), To: 1000e9 + int64(to*1e9)}
}

func TestTallyByPhase(t *testing.T) {
	all := judge(t, `T 0 0 clusterip web 10.96.0.1:80
r 0 0 900 100 50000 51000
f 0 150000 800000 0 timeout
f 0 200000 300 0 refused
r 0 250000 700 90 50000
s 0 350000 60000 10
f 0 400000 10 0 refused
r 0 450000 700 90
E 0 500000
`, nil)
	rows := Tally(all, PhasesOf([]Step{{1000e9 + 150e6, "a"}, {1000e9 + 400e6, "b"}}))
	want := []Row{
		{Phase: "before", Sent: 3, Gap: 149, Slowest: 0.9},
		{Phase: "during", Sent: 5, Lost: 2, LostPart: 40, Gap: 149, Slowest: 60},
		{Phase: "after", Sent: 2, Lost: 1, LostPart: 50, Gap: 100, Slowest: 0.7},
	}
	for i, w := range want {
		r := rows[i]
		if r.Kind != "clusterip" || r.Phase != w.Phase || r.Sent != w.Sent || r.Lost != w.Lost ||
			r.LostPart != w.LostPart || r.Gap != w.Gap || r.Slowest != w.Slowest || r.LeftOut != 0 || r.LatePart != 0 {
			t.Errorf("got %+v, want %+v", *r, w)
		}
	}
	if c := rows[1].Classes; c["timeout"] != 1 || c["refused"] != 1 {
		t.Errorf("classes %v", c)
	}
	if where := rows[1].GapWhere; where != "w1 > web at 00:16:40.101" {
		t.Errorf("longest gap %q", where)
	}
}

func TestWhatTheProberWasTooLateForIsLeftOut(t *testing.T) {
	rows := Tally(judge(t, `T 0 0 pod w2 10.0.0.1:80
T 1 0 pod w3 10.0.0.2:80
r 0 0 900 0 50000
f 0 99000 1000000 0 timeout
w 100000 200000
f 0 300000 5 0 refused
f 1 280000 5 180000 refused
s 0 400000 900 49000
s 1 800000 900 70000
r 0 1150000 900 0
r 1 1150000 900 0
E 0 1200000
E 1 1200000
`, nil), PhasesOf(nil))
	r := rows[0]
	// Left out are the two refused ones within the standstill of 100 to 300 ms and the one of w3 that
	// was late. The one that timed out stood still for a fifth of its time only: lost.
	if r.Sent != 6 || r.Lost != 1 || r.LeftOut != 3 {
		t.Errorf("sent %d, lost %d, left out %d", r.Sent, r.Lost, r.LeftOut)
	}
	// w2's probes of 400 and 1150 ms, without the 70 ms before 800 for which the prober was late
	if r.Gap != 680 {
		t.Errorf("gap %v", r.Gap)
	}
	if got, want := r.LatePart, 100*(200.+70)/1200; got != want {
		t.Errorf("late %v %%, want %v %%", got, want)
	}
}

func TestAProbeThatMostlyStoodStillIsLeftOut(t *testing.T) {
	rows := Tally(judge(t, `T 0 0 pod w2 10.0.0.1:80
f 0 99000 1000000 0 timeout
w 100000 600000
`, nil), PhasesOf(nil))
	if r := rows[0]; r.Sent != 0 || r.Lost != 0 || r.LeftOut != 1 {
		t.Errorf("sent %d, lost %d, left out %d", r.Sent, r.Lost, r.LeftOut)
	}
}

func TestLossesOfAPodThatRestartsAreApart(t *testing.T) {
	log := `T 0 0 KIND w2-pod 10.0.0.1:80
r 0 0 900 0
f 0 50000 100 0 refused
f 0 100000 100 0 refused
f 0 150000 100 0 refused
r 0 200000 900 0
`
	during := span.Set{seconds(0.04, 0.12)}
	for _, c := range []struct {
		kind, pod       string
		lost, restarted int
		gap             float64
	}{
		{"pod", "w2-pod", 1, 2, 120},
		{"pod", "w1", 1, 2, 120}, // the prober's own pod
		{"pod", "w3-pod", 3, 0, 200},
		{"clusterip", "w1", 3, 0, 200},
	} {
		all := judge(t, strings.Replace(log, "KIND", c.kind, 1), map[string]span.Set{c.pod: during})
		r := Tally(all, PhasesOf(nil))[0]
		if r.Sent != 5 || r.Lost != c.lost || r.Restarted != c.restarted || r.Gap != c.gap {
			t.Errorf("%s while %s restarts: %+v", c.kind, c.pod, *r)
		}
	}
}

func TestAGapWithoutAnEndGoesToTheLastProbe(t *testing.T) {
	r := Tally(judge(t, `T 0 0 pod w2 10.0.0.1:80
f 0 0 100 0 refused
r 0 200000 100 0
f 0 250000 100 0 refused
f 0 550000 100 0 refused
`, nil), PhasesOf(nil))[0]
	if r.Gap != 350 || r.Lost != 3 {
		t.Errorf("gap %v, lost %d", r.Gap, r.Lost)
	}
}

func TestBrokenConnections(t *testing.T) {
	r := Tally(judge(t, `T 0 0 tcp echo 10.0.0.1:81
r 0 0 100 0
b 0 100000 reset
c 0 170000 70000
b 0 300000 eof
E 0 500000
`, nil), PhasesOf(nil))[0]
	if r.Broken != 2 || r.Down != 200 {
		t.Errorf("broken %d, down %v", r.Broken, r.Down)
	}
}

func TestBounds(t *testing.T) {
	percent, gap := 0.1, 150*time.Millisecond
	rows := []*Row{
		{Kind: "pod", Phase: "during", Sent: 10, Lost: 10, LostPart: 100, Gap: 9999},
		{Kind: "clusterip", Phase: "before", Sent: 10, Lost: 10, LostPart: 100},
		{Kind: "clusterip", Phase: "during", Sent: 10000, Lost: 10, LostPart: 0.1, Gap: 150},
		{Kind: "nodeport", Phase: "during", Sent: 0, Gap: 150.1, LatePart: 0.2},
	}
	b := Bounds{MaxLost: &percent, MaxGap: &gap, MaxLate: &percent,
		Kinds: []string{"clusterip", "nodeport", "dns"}, Phases: []string{"during", "later"}}
	want := []string{
		"nodeport during: no probe was counted",
		"nodeport during: a gap of 150 ms (), at most 150ms",
		"nodeport during: the prober was late for 0.20 % of the time, at most 0.1 %",
		"dns: not probed",
		"later: no such phase",
	}
	if got := b.Exceeded(rows); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := (Bounds{Kinds: []string{"dns"}}).Exceeded(rows); got != nil {
		t.Errorf("without bounds: %q", got)
	}
	if got := (Bounds{MaxGap: &gap}).Exceeded(nil); len(got) != 1 {
		t.Errorf("without probes: %q", got)
	}
}
