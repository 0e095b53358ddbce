package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnInterruptionIsMeasured probes a real server over loopback, takes it away for a while, and
// compares the sums with what the server itself has counted.
func TestAnInterruptionIsMeasured(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	web, echo, log := freePort(t), freePort(t), filepath.Join(dir, "log")
	_, port, _ := net.SplitHostPort(web)
	targets := file("targets", fmt.Sprintf("pod w2 %s\nclusterip web %[1]s\ndns web.test:%s %s\ntcp w2 %s\n",
		web, port, nameServer(t), echo))

	serve := func() *process {
		return start("serve", "--listen", web, "--echo", echo, "--drain", "0s", "--name", "w2")
	}
	server := serve()
	waitReady(t, web)
	prober := start("probe", "--targets", targets, "--log", log, "--from", "w1", "--timeout", "5s")
	time.Sleep(900 * time.Millisecond)
	first := time.Now()
	time.Sleep(50 * time.Millisecond)
	server.stop(t)
	down := time.Now()
	time.Sleep(420 * time.Millisecond)
	counts := server.stderr.String()
	server = serve()
	waitReady(t, web)
	time.Sleep(300 * time.Millisecond)
	last := time.Now()
	time.Sleep(700 * time.Millisecond)
	prober.stop(t)
	server.stop(t)
	counts += server.stderr.String()

	steps := file("steps", fmt.Sprintf("%s take the server away\n%s it is back\n", seconds(first), seconds(last)))
	out := mustRun(t, done, "sum", log, "--steps", steps, "--late", "1h", "-o", "json")
	var sums struct {
		Rows []struct {
			Kind, Phase string
			Sent, Lost  int
			LeftOut     int     `json:"left_out"`
			Gap         float64 `json:"longest_gap_ms"`
			Broken      int     `json:"connections_broken"`
		}
	}
	if err := json.Unmarshal([]byte(out), &sums); err != nil || len(sums.Rows) != 4*3 {
		t.Fatalf("%v in\n%s", err, out)
	}
	var requests, messages int
	for _, r := range sums.Rows {
		if r.Kind == "tcp" {
			messages += r.Sent - r.Lost
		} else {
			requests += r.Sent - r.Lost
		}
		during := r.Phase == "during"
		if (r.Lost > 0) != during || r.LeftOut != 0 {
			t.Errorf("%s %s: %d lost, %d left out", r.Kind, r.Phase, r.Lost, r.LeftOut)
		}
		if during && (r.Gap < 400 || r.Gap > last.Sub(first).Seconds()*1000) {
			t.Errorf("%s: gap of %v ms; the server was away from %v on", r.Kind, r.Gap, down)
		}
		if during && (r.Broken != 0) != (r.Kind == "tcp") {
			t.Errorf("%s: %d connections broken", r.Kind, r.Broken)
		}
	}
	var served [4]int
	fmt.Sscanf(counts, "served %d requests and %d messages\nserved %d requests and %d messages\n",
		&served[0], &served[1], &served[2], &served[3])
	if requests != served[0]+served[2] || messages != served[1]+served[3] {
		t.Errorf("%d requests and %d messages were answered; the servers say\n%s", requests, messages, counts)
	}

	mustRun(t, done, "sum", log, "--steps", steps, "--late", "1h", "--max-lost", "0%", "--in", "after")
	mustRun(t, failed, "sum", log, "--steps", steps, "--late", "1h", "--max-lost", "1", "--kinds", "clusterip")
	mustRun(t, failed, "sum", log, "--steps", steps, "--late", "1h", "--max-gap", "300ms", "--in", "during")
	picture := filepath.Join(dir, "out.svg")
	mustRun(t, done, "draw", "-o", picture, log, "--steps", steps)
	if svg, _ := os.ReadFile(picture); !strings.Contains(string(svg), "take the server away") {
		t.Error("the picture lacks the steps")
	}
}

// TestTargetsComeMoveAndGo changes the targets file under a running prober.
func TestTargetsComeMoveAndGo(t *testing.T) {
	dir := t.TempDir()
	targets, log := filepath.Join(dir, "targets"), filepath.Join(dir, "log")
	one, other, echo := freePort(t), freePort(t), freePort(t)
	server := start("serve", "--listen", one, "--echo", echo, "--drain", "0s")
	defer server.stop(t)
	waitReady(t, one)
	set := func(text string) {
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, targets); err != nil {
			t.Fatal(err)
		}
		time.Sleep(600 * time.Millisecond)
	}
	prober := start("probe", "--targets", targets, "--log", log, "--from", "w1")
	set("pod a " + one + "\n")
	set("pod a " + other + "\nnode b " + one + "\n") // a has moved to where nobody answers
	set("not a target\n")
	set("pod a " + one + "\n") // and back; b is gone
	prober.stop(t)
	text, _ := os.ReadFile(log)
	for what, want := range map[string]int{"\nT ": 2, "\nA ": 2, "\nE ": 2, " refused\n": -1, "\nr 1 ": -1} {
		if got := strings.Count(string(text), what); got != want && (want >= 0 || got == 0) {
			t.Errorf("%d times %q in the log, want %d", got, what, want)
		}
	}
	if want := `targets left as they were`; strings.Count(prober.stderr.String(), want) != 1 {
		t.Errorf("the prober said %q", prober.stderr.String())
	}
}

func TestWrongCommandLines(t *testing.T) {
	for _, args := range [][]string{
		nil, {"drink"}, {"serve", "x"}, {"probe"}, {"probe", "--targets", "a", "--log", "b", "--rate", "0"}, {"sum"},
		{"sum", "--phase", "x", "log"}, {"sum", os.DevNull, "-o", "yaml"}, {"draw", os.DevNull}, {"sum", "--late", "1ms", "l"},
	} {
		mustRun(t, wrong, args...)
	}
	mustRun(t, done, "sum", "--help")
	mustRun(t, failed, "sum", "/nonexistent")
	mustRun(t, failed, "sum", os.DevNull, "--max-lost", "0")
}

// process is a command that runs beside the test.
type process struct {
	quit   context.CancelFunc
	code   chan int
	stderr bytes.Buffer
}

func start(args ...string) *process {
	ctx, stop := context.WithCancel(context.Background())
	p := &process{quit: stop, code: make(chan int, 1)}
	go func() { p.code <- run(ctx, args, &bytes.Buffer{}, &p.stderr) }()
	return p
}

// stop does what SIGTERM does, and waits.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.quit()
	if code := <-p.code; code != done {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
}

func mustRun(t *testing.T, want int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), args, &stdout, &stderr); code != want {
		t.Errorf("%q: exit code %d, want %d: %s", args, code, want, stderr.String())
	}
	return stdout.String()
}

func waitReady(t *testing.T, address string) {
	t.Helper()
	for range 500 {
		if answer, err := http.Get("http://" + address + "/readyz"); err == nil {
			answer.Body.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server does not come up")
}

func seconds(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

// freePort returns a loopback address that nobody listens on.
func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// nameServer answers every question with 127.0.0.1, and returns its address.
func nameServer(t *testing.T) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			end := 12 + bytes.IndexByte(buffer[12:n], 0) + 5 // of the question: name, type and class
			answer := append([]byte{buffer[0], buffer[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, buffer[12:end]...)
			answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
			conn.WriteTo(answer, from)
		}
	}()
	return conn.LocalAddr().String()
}
