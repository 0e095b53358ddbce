// Package serve is what the probers talk to: an HTTP server that says which pod it is, an echo for
// long-lived connections, and an admission webhook. It leaves as a good backend does: unready at once, serving on a while.
package serve

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Options say where to listen and how to leave.
type Options struct {
	HTTP, Echo string        // addresses; an empty one is not served
	Admit      string        // address of an admission webhook; empty: none
	TLS        string        // directory of its certificate: tls.crt and tls.key
	Name       string        // what every request is answered with
	Drain      time.Duration // how long requests are served after the context has ended
}

// Counts tells how many requests and echoed messages were served; those for /readyz are not counted.
type Counts struct{ Requests, Messages int64 }

// lastCall is how long a request that is being answered when the drain ends may take.
const lastCall = time.Second

// Run serves until the context ends, and then for Options.Drain more.
func Run(ctx context.Context, o Options) (Counts, error) {
	web := &website{name: o.Name}
	server := &http.Server{Handler: web, ReadHeaderTimeout: 10 * time.Second}
	server.SetKeepAlivesEnabled(false) // every probe is balanced anew
	echo := newEcho()
	webhook := &http.Server{Handler: http.HandlerFunc(admit), ReadHeaderTimeout: 10 * time.Second}
	serveTLS := func(listener net.Listener) error {
		return webhook.ServeTLS(listener, filepath.Join(o.TLS, certificateFile), filepath.Join(o.TLS, keyFile))
	}
	failed := make(chan error, 3)
	for _, s := range []struct {
		address string
		serve   func(net.Listener) error
	}{{o.HTTP, server.Serve}, {o.Echo, echo.serve}, {o.Admit, serveTLS}} {
		if s.address == "" {
			continue
		}
		listener, err := plainTCP().Listen(ctx, "tcp", s.address)
		if err != nil {
			server.Close()
			webhook.Close()
			echo.close()
			return Counts{}, err
		}
		go func() { failed <- s.serve(listener) }()
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		web.leaving.Store(true)
		time.Sleep(o.Drain)
	}
	finish, cancel := context.WithTimeout(context.Background(), lastCall)
	defer cancel()
	server.Shutdown(finish)
	webhook.Shutdown(finish)
	echo.close()
	return Counts{web.served.Load(), echo.served.Load()}, err
}

// plainTCP listens without multipath TCP, Go's default, which would measure something else.
func plainTCP() *net.ListenConfig {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return &config
}

// website answers every path with its name, and /readyz by whether it is leaving.
type website struct {
	name    string
	leaving atomic.Bool
	served  atomic.Int64
}

func (s *website) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/readyz" {
		s.served.Add(1)
		io.WriteString(w, s.name+"\n")
	} else if s.leaving.Load() {
		http.Error(w, "leaving", http.StatusServiceUnavailable)
	} else {
		fmt.Fprintln(w, "ready")
	}
}
