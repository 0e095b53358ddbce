package faults

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"
)

// SlowWatches says by how long the events of a resource's watches are held back, by the resource's
// plural. It is a flag that may be given several times.
type SlowWatches map[string]time.Duration

func (s SlowWatches) String() string { return fmt.Sprint(map[string]time.Duration(s)) }

// Set parses PLURAL=DURATION.
func (s *SlowWatches) Set(value string) error {
	plural, text, found := strings.Cut(value, "=")
	delay, err := time.ParseDuration(text)
	if !found || plural == "" || err != nil || delay <= 0 {
		return fmt.Errorf("not PLURAL=DURATION")
	}
	if *s == nil {
		*s = SlowWatches{}
	}
	(*s)[plural] = delay
	return nil
}

// of is the delay for what is asked by this URL: none if it is not a watch.
func (s SlowWatches) of(u *url.URL) time.Duration {
	if watch := u.Query().Get("watch"); watch != "true" && watch != "1" {
		return 0
	}
	return s[u.Path[strings.LastIndex(u.Path, "/")+1:]]
}

// heldBack is a stream each byte of which is readable that much later than it came. So the events
// keep their order and their distances, whatever their encoding is.
type heldBack struct {
	body   io.ReadCloser
	parts  chan part
	now    part
	closed chan struct{}
	once   sync.Once
}

type part struct {
	data []byte
	err  error
	due  time.Time
}

func holdBack(body io.ReadCloser, delay time.Duration) io.ReadCloser {
	h := &heldBack{body: body, parts: make(chan part, 4096), closed: make(chan struct{})}
	go h.fill(delay)
	return h
}

func (h *heldBack) fill(delay time.Duration) {
	buffer := make([]byte, 32*1024)
	for {
		n, err := h.body.Read(buffer)
		next := part{data: append([]byte(nil), buffer[:n]...), err: err, due: time.Now().Add(delay)}
		select {
		case h.parts <- next:
		case <-h.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

func (h *heldBack) Read(p []byte) (int, error) {
	if len(h.now.data) == 0 && h.now.err == nil {
		select {
		case h.now = <-h.parts:
		case <-h.closed:
			return 0, io.ErrClosedPipe
		}
		select {
		case <-time.After(time.Until(h.now.due)):
		case <-h.closed:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, h.now.data)
	h.now.data = h.now.data[n:]
	if len(h.now.data) == 0 {
		return n, h.now.err
	}
	return n, nil
}

func (h *heldBack) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.body.Close()
}
