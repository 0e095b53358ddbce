package probe

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
)

// listen hands every connection to talk.
func listen(t *testing.T, talk func(net.Conn)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go talk(conn)
		}
	}()
	return listener.Addr().String()
}

// probeFor probes the targets and returns the series by name.
func probeFor(t *testing.T, length, timeout time.Duration, targets string) map[string]*logfile.Series {
	dir := t.TempDir()
	o := Options{From: "w1", Targets: filepath.Join(dir, "targets"), Log: filepath.Join(dir, "log"),
		Period: 20 * time.Millisecond, Timeout: timeout, Warn: func(s string) { t.Error(s) }}
	if err := os.WriteFile(o.Targets, []byte(targets), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), length)
	defer stop()
	if err := Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(o.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sessions, err := logfile.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]*logfile.Series{}
	for _, s := range sessions[0].Series {
		series[s.Name] = s
	}
	return series
}

func TestATargetThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	mute := listen(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	busy := listen(t, func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		conn.Close()
	})
	const length, timeout = time.Second, 300 * time.Millisecond
	series := probeFor(t, length, timeout, "pod mute "+mute+"\npod busy "+busy+"\ntcp mute-tcp "+mute+"\n")
	for name, want := range map[string]string{"mute": "timeout", "mute-tcp": "timeout", "busy": "status"} {
		s := series[name]
		if len(s.Probes) < 20 {
			t.Errorf("%s: %d probes in %v", name, len(s.Probes), length)
		}
		for _, p := range s.Probes {
			if p.Class != want && p.Class != "reset" { // the 503 may be overtaken by a reset
				t.Errorf("%s: %q, want %q", name, p.Class, want)
			}
			if want == "timeout" && time.Duration(p.Latency) < timeout-10*time.Millisecond {
				t.Errorf("%s: given up after %v", name, time.Duration(p.Latency))
			}
		}
	}
}

func TestAConnectionThatGoesMuteIsReplaced(t *testing.T) {
	var connections atomic.Int32
	echo := listen(t, func(conn net.Conn) {
		if connections.Add(1) == 1 {
			io.CopyN(conn, conn, 10*8) // and no more
			io.Copy(io.Discard, conn)
		} else {
			io.Copy(conn, conn)
		}
	})
	s := probeFor(t, 1200*time.Millisecond, 300*time.Millisecond, "tcp echo "+echo+"\n")["echo"]
	if len(s.Breaks) != 1 || s.Breaks[0].Down <= 0 || s.Breaks[0].Down > int64(300*time.Millisecond) {
		t.Errorf("breaks %v", s.Breaks)
	}
	lost := 0
	for _, p := range s.Probes {
		if p.Class == "timeout" {
			lost++
		} else if p.Class != "" {
			t.Errorf("a message was lost by %q", p.Class)
		}
	}
	if lost < 8 || lost > 18 || len(s.Probes)-lost < 20 {
		t.Errorf("%d of %d messages lost in the 300 ms until the connection was given up", lost, len(s.Probes))
	}
}
