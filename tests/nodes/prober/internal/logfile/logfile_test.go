package logfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, err := Create(path, "w1")
	if err != nil {
		t.Fatal(err)
	}
	at := func(ms int) time.Time { return w.base.Add(time.Duration(ms) * time.Millisecond) }
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	pod, tcp := w.Begin("pod", "w2", "10.0.0.1:80"), w.Begin("tcp", "echo", "10.0.0.2:81")
	w.Add(pod, Result{0, at(0), ms(1), ms(0), ""})
	w.Add(pod, Result{1, at(50), ms(3), ms(2), ""})
	w.Add(pod, Result{3, at(150), ms(2), ms(0), ""}) // 2 is still out
	w.Add(tcp, Result{0, at(10), ms(1), ms(0), ""})
	w.Add(pod, Result{4, at(260), ms(2), ms(60), ""})
	w.Add(pod, Result{2, at(100), ms(1000), ms(1), "timeout"})
	w.Broke(tcp, "reset")
	w.Mended(tcp, ms(70))
	w.Broke(tcp, "eof")
	w.Move(pod, "10.0.0.3:80")
	w.Stall(at(200), ms(60))
	w.End(pod)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	sessions, err := Read(strings.NewReader(string(text)))
	if err != nil || len(sessions) != 1 || len(sessions[0].Series) != 2 {
		t.Fatalf("got %v, %v from\n%s", sessions, err, text)
	}
	s := sessions[0]
	base := w.base.UnixNano()
	got := map[int64]Probe{}
	for _, p := range s.Series[0].Probes {
		p.Start -= base
		got[p.Start/1e6] = p
	}
	for _, want := range []Probe{
		{0, 3e6, 2e6, ""}, {50e6, 3e6, 2e6, ""}, {100e6, 1000e6, 1e6, "timeout"}, {150e6, 2e6, 0, ""}, {260e6, 2e6, 60e6, ""},
	} {
		if got[want.Start/1e6] != want {
			t.Errorf("got %v, want %v", got[want.Start/1e6], want)
		}
	}
	if len(got) != 5 || s.From != "w1" || s.Series[0].Kind != "pod" || s.Series[0].Name != "w2" {
		t.Errorf("got %d probes of %s's %v", len(got), s.From, s.Series[0])
	}
	if s.Stalls[0].From != base+200e6 || s.Stalls[0].To != base+260e6 {
		t.Errorf("stalls %v", s.Stalls)
	}
	if b := s.Series[1].Breaks; len(b) != 2 || b[0].Down != 70e6 || b[1].Down != -1 {
		t.Errorf("breaks %v", b)
	}
	if end := s.Series[1].End; end < s.Series[1].Begin {
		t.Errorf("a series that was not ended ends at %d", end)
	}
}

func TestASecondOfGoodProbesIsShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, _ := Create(path, "w1")
	id := w.Begin("pod", "w2", "10.0.0.1:80")
	w.Flush()
	before, _ := os.Stat(path)
	const hour = 20 * 3600
	for seq := range hour {
		w.Add(id, Result{seq, w.base.Add(time.Duration(seq) * 50 * time.Millisecond), time.Millisecond, 0, ""})
		if seq%5 == 4 {
			w.Flush() // as the prober does
		}
	}
	w.Close()
	after, _ := os.Stat(path)
	if per := float64(after.Size()-before.Size()) / hour; per > 12 {
		t.Errorf("%.1f bytes a probe", per)
	}
}

func TestAnUnfinishedLineIsPassedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	os.WriteFile(path, []byte("P 1 w1 1000\nT 0 0 pod w2 10.0.0.1:80\nr 0 1 1 0\nr 0 50"), 0o644)
	for range 2 {
		w, err := Create(path, "w1")
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
	text, _ := os.ReadFile(path)
	sessions, err := Read(strings.NewReader(string(text)))
	if err != nil || len(sessions) != 3 || len(sessions[0].Series[0].Probes) != 1 {
		t.Errorf("got %d sessions, %v from\n%s", len(sessions), err, text)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"hello\nworld":                        "line 1",
		"P 1 w1 0\nr 0 1 2 3\nE 0 5":          "line 2", // no such target
		"P 1 w1 0\nT 0 0 pod a b\nr 0 x\nE 0": "line 3",
		"P 2 w1 0\nT 0 0 pod a b":             "format 2",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
