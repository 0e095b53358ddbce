package serve

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// freePort returns a loopback address that nobody listens on.
func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func get(t *testing.T, url string) (int, string, bool) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	for try := 0; ; try++ {
		answer, err := client.Get(url)
		if err == nil {
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			return answer.StatusCode, string(body), answer.Close
		}
		if try == 100 {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestServesOnWhileUnready(t *testing.T) {
	o := Options{HTTP: freePort(t), Echo: freePort(t), Name: "web-1 w1", Drain: 700 * time.Millisecond}
	ctx, leave := context.WithCancel(context.Background())
	type end struct {
		counts Counts
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		counts, err := Run(ctx, o)
		ended <- end{counts, err}
	}()
	if status, body, closes := get(t, "http://"+o.HTTP+"/any"); status != 200 || body != "web-1 w1\n" || !closes {
		t.Errorf("got %d %q, connection closed: %v", status, body, closes)
	}
	if status, _, _ := get(t, "http://"+o.HTTP+"/readyz"); status != 200 {
		t.Errorf("readyz says %d while serving", status)
	}
	conn, err := net.Dial("tcp", o.Echo)
	if err != nil {
		t.Fatal(err)
	}
	left := time.Now()
	leave()
	for status := 200; status != 503; {
		if status, _, _ = get(t, "http://"+o.HTTP+"/readyz"); time.Since(left) > o.Drain {
			t.Fatalf("readyz still says %d", status)
		}
	}
	if status, _, _ := get(t, "http://"+o.HTTP+"/"); status != 200 {
		t.Errorf("got %d during the drain", status)
	}
	conn.Write([]byte("12345678"))
	answer := make([]byte, MessageSize)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "12345678" {
		t.Errorf("echo during the drain: %q, %v", answer, err)
	}
	e := <-ended
	if took := time.Since(left); e.err != nil || took < o.Drain {
		t.Errorf("ended after %v: %v", took, e.err)
	}
	if want := (Counts{2, 1}); e.counts != want {
		t.Errorf("counted %v, want %v", e.counts, want)
	}
	if _, err := conn.Read(answer); err != io.EOF {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestTakenAddressIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := Run(context.Background(), Options{Echo: listener.Addr().String()}); err == nil {
		t.Error("no error")
	}
}
