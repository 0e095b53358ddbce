// Package probe asks targets for answers at a steady rate and logs how each probe went.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
)

// Options say what to probe and where to log it.
type Options struct {
	From    string        // this prober's name in the log
	Targets string        // a file, read again whenever it changes
	Log     string        // a file, appended to
	Period  time.Duration // from one probe of a target to the next
	Timeout time.Duration // of one probe
	Warn    func(string)  // told about a targets file that is not understood
}

const (
	lookEvery  = 250 * time.Millisecond // how soon a change of the targets is seen, and the log flushed
	heartbeat  = 20 * time.Millisecond
	standstill = logfile.Odd
)

// prober is one kind's way of probing. fire does not block; finish waits until all is logged.
type prober interface {
	move(address string)
	fire(due time.Time)
	finish()
}

// Run probes until the context ends and everything is logged. A targets file that is not there yet is
// waited for; one that is not understood, or gone, leaves the targets as they were.
func Run(ctx context.Context, o Options) error {
	log, err := logfile.Create(o.Log, o.From)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	fleet := fleet{Options: o, log: log, running: map[[2]string]*runner{}}
	fleet.done.Go(func() {
		every(ctx, time.Now(), heartbeat, func(due time.Time) {
			if late := time.Since(due); late > standstill {
				log.Stall(due, late)
			}
		})
	})
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for err == nil && ctx.Err() == nil {
		fleet.reload(ctx)
		err = log.Flush()
		select {
		case <-ctx.Done():
		case <-look.C:
		}
	}
	stop()
	fleet.done.Wait()
	if e := log.Close(); err == nil {
		err = e
	}
	return err
}

// fleet is the targets being probed.
type fleet struct {
	Options
	log     *logfile.Writer
	read    string // the targets file's text when it was last read
	warned  string
	running map[[2]string]*runner
	done    sync.WaitGroup
}

type runner struct {
	prober
	id      int
	address string
	stop    context.CancelFunc
}

// reload takes the targets file in if it has changed.
func (f *fleet) reload(ctx context.Context) {
	text, err := os.ReadFile(f.Targets)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(text) == f.read {
		return
	}
	var targets []Target
	if err == nil {
		f.read = string(text)
		targets, err = parseTargets(f.read)
	}
	if err != nil {
		if f.warned != err.Error() {
			f.warned = err.Error()
			f.Warn(fmt.Sprintf("targets left as they were: %s: %v", f.Targets, err))
		}
		return
	}
	f.warned = ""
	f.set(ctx, targets)
}

// set starts, moves and stops probing so that it is these targets that are probed.
func (f *fleet) set(ctx context.Context, targets []Target) {
	gone := f.running
	f.running = map[[2]string]*runner{}
	for _, t := range targets {
		key := [2]string{t.Kind, t.Name}
		r := gone[key]
		delete(gone, key)
		if r == nil {
			r = f.start(ctx, t)
		} else if r.address != t.Address {
			r.address = t.Address
			f.log.Move(r.id, t.Address)
			r.move(t.Address)
		}
		f.running[key] = r
	}
	for _, r := range gone {
		r.stop()
	}
}

func (f *fleet) start(ctx context.Context, t Target) *runner {
	id := f.log.Begin(t.Kind, t.Name, t.Address)
	ctx, stop := context.WithCancel(ctx)
	r := &runner{f.prober(id, t), id, t.Address, stop}
	r.move(t.Address)
	f.done.Go(func() {
		every(ctx, firstDue(time.Now(), phase(f.From, f.Period), f.Period), f.Period, r.fire)
		r.finish()
		f.log.End(id)
	})
	return r
}

func (f *fleet) prober(id int, t Target) prober {
	switch t.Kind {
	case "tcp":
		return &stream{log: f.log, id: id, timeout: f.Timeout}
	case "dns":
		return &requests{log: f.log, id: id, timeout: f.Timeout, try: func(ctx context.Context, server string) error {
			return getByName(ctx, t.Name, server)
		}}
	default:
		return &requests{log: f.log, id: id, timeout: f.Timeout, try: get}
	}
}
