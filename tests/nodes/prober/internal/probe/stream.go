package probe

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
	"kubectl-cni/tests/nodes/prober/internal/serve"
)

// stream probes a target over one long-lived connection: each probe is a message that must come back.
// While there is no connection, each probe opens one for itself, and the first that is answered
// becomes the new one: how long it took is then known as finely as the probes are spaced, which one
// dial after the other, each waiting for its time-out, would not tell.
type stream struct {
	log     *logfile.Writer
	id      int
	timeout time.Duration
	address atomic.Value
	dials   sync.WaitGroup

	mu      sync.Mutex
	seq     int
	conn    net.Conn // nil while there is none
	waiting []logfile.Result
	broke   time.Time // zero until a connection broke
	ending  bool
	reader  sync.WaitGroup
}

func (s *stream) move(address string) { s.address.Store(address) }

func (s *stream) fire(due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	probe := logfile.Result{Seq: s.seq, Start: time.Now()}
	probe.Late = probe.Start.Sub(due)
	s.seq++
	if len(s.waiting) > 0 && probe.Start.Sub(s.waiting[0].Start) > s.timeout {
		s.drop("timeout")
	}
	if s.conn == nil {
		s.dials.Go(func() { s.open(probe) })
		return
	}
	s.waiting = append(s.waiting, probe)
	s.conn.SetWriteDeadline(probe.Start.Add(s.timeout))
	if _, err := s.conn.Write(message(probe.Seq)); err != nil {
		s.drop(class(err))
	}
}

// open makes a connection, sends the probe over it, and keeps it if it is the first to be answered.
func (s *stream) open(probe logfile.Result) {
	ctx, cancel := context.WithDeadline(context.Background(), probe.Start.Add(s.timeout))
	defer cancel()
	conn, err := dial(ctx, s.address.Load().(string))
	if err == nil {
		if _, err = conn.Write(message(probe.Seq)); err == nil {
			_, err = io.ReadFull(conn, make([]byte, serve.MessageSize))
		}
		if err != nil {
			conn.Close()
		}
	}
	probe.Latency, probe.Class = time.Since(probe.Start), class(err)
	s.log.Add(s.id, probe)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil || s.ending {
		conn.Close()
		return
	}
	conn.SetDeadline(time.Time{})
	s.conn = conn
	if !s.broke.IsZero() {
		s.log.Mended(s.id, time.Since(s.broke))
	}
	s.reader.Go(func() { s.read(conn) })
}

// read takes the answers in until the connection ends.
func (s *stream) read(conn net.Conn) {
	answer := make([]byte, serve.MessageSize)
	for {
		_, err := io.ReadFull(conn, answer)
		s.mu.Lock()
		if s.conn != conn {
			s.mu.Unlock()
			return // fire has given it up
		}
		if err == nil && (len(s.waiting) == 0 || int(binary.BigEndian.Uint64(answer)) != s.waiting[0].Seq) {
			err = errStatus // not an echo
		}
		if err != nil {
			s.drop(class(err))
			s.mu.Unlock()
			return
		}
		probe := s.waiting[0]
		s.waiting = s.waiting[1:]
		probe.Latency = time.Since(probe.Start)
		s.log.Add(s.id, probe)
		s.mu.Unlock()
	}
}

// drop gives the connection up, and with it the messages that are still out. The lock is held.
func (s *stream) drop(why string) {
	now := time.Now()
	for _, probe := range s.waiting {
		probe.Latency, probe.Class = now.Sub(probe.Start), why
		s.log.Add(s.id, probe)
	}
	if !s.ending {
		s.broke = now
		s.log.Broke(s.id, why)
	}
	s.waiting = nil
	s.conn.Close()
	s.conn = nil
}

// finish waits for the answers that are still out, as long as a probe may take.
func (s *stream) finish() {
	s.dials.Wait()
	for end := time.Now().Add(s.timeout); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		s.ending = true
		if s.conn == nil || len(s.waiting) == 0 || time.Now().After(end) {
			break
		}
		s.mu.Unlock()
	}
	if s.conn != nil {
		s.drop("timeout")
	}
	s.mu.Unlock()
	s.reader.Wait()
}

func message(seq int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(seq)) }
