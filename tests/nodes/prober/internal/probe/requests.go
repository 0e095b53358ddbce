package probe

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
)

// requests probes a target with independent requests, each in a goroutine of its own.
type requests struct {
	log     *logfile.Writer
	id      int
	timeout time.Duration
	try     func(context.Context, string) error
	address atomic.Value
	seq     int
	flying  sync.WaitGroup
}

func (r *requests) move(address string) { r.address.Store(address) }

func (r *requests) fire(due time.Time) {
	seq := r.seq
	r.seq++
	r.flying.Go(func() {
		start := time.Now()
		ctx, cancel := context.WithDeadline(context.Background(), start.Add(r.timeout))
		defer cancel()
		err := r.try(ctx, r.address.Load().(string))
		r.log.Add(r.id, logfile.Result{
			Seq: seq, Start: start, Latency: time.Since(start), Late: start.Sub(due), Class: class(err)})
	})
}

// finish waits for the answers that are still out.
func (r *requests) finish() { r.flying.Wait() }
