package logfile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Writer appends one session to a log. Its methods may be called from any goroutine; what they write
// is on disk after Flush, and the first error that writing meets is what Flush and Close return.
type Writer struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	base time.Time
	runs []*run // by target ID
}

// Create opens the log, mends a line that a killed prober left unfinished, and begins a session.
func Create(path, from string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: file, out: bufio.NewWriterSize(file, 1<<16), base: time.Now()}
	if unfinished(file) {
		fmt.Fprintln(w.out)
	}
	fmt.Fprintf(w.out, "P %s %s %d\n", version, from, w.base.UnixNano())
	return w, w.out.Flush()
}

func unfinished(file *os.File) bool {
	last := make([]byte, 1)
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return false
	}
	_, err = file.ReadAt(last, end-1)
	return err == nil && last[0] != '\n'
}

// Begin enters a target and returns the ID that the other methods want.
func (w *Writer) Begin(kind, name, address string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := len(w.runs)
	w.runs = append(w.runs, &run{})
	w.line("T %d %d %s %s %s", id, w.micros(time.Now()), kind, name, address)
	return id
}

// Move notes a target's new address.
func (w *Writer) Move(id int, address string) { w.event("A %d %d %s", id, address) }

// End closes a target whose probes have all been added.
func (w *Writer) End(id int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endRun(id)
	w.line("E %d %d", id, w.micros(time.Now()))
}

// Broke notes that a long-lived connection broke.
func (w *Writer) Broke(id int, class string) { w.event("b %d %d %s", id, class) }

// Mended notes that a new connection has answered, down after the old one broke.
func (w *Writer) Mended(id int, down time.Duration) { w.event("c %d %d %d", id, down.Microseconds()) }

// Stall notes that from start on the prober stood still.
func (w *Writer) Stall(start time.Time, length time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line("w %d %d", w.micros(start), length.Microseconds())
}

// Add enters a probe.
func (w *Writer) Add(id int, r Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	start, latency, late := w.micros(r.Start), r.Latency.Microseconds(), r.Late.Microseconds()
	switch {
	case r.Class != "":
		w.line("f %d %d %d %d %s", id, start, latency, late, r.Class)
	case r.Latency > Odd || r.Late > Odd:
		w.line("s %d %d %d %d", id, start, latency, late)
	default:
		if !w.runs[id].takes(r.Seq, start) {
			w.endRun(id)
		}
		w.runs[id].add(r.Seq, start, latency, late)
	}
}

// Flush writes out everything added so far.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.runs {
		w.endRun(id)
	}
	return w.out.Flush()
}

// Close flushes and closes the log.
func (w *Writer) Close() error {
	err := w.Flush()
	if e := w.file.Close(); err == nil {
		err = e
	}
	return err
}

func (w *Writer) event(format string, id int, what any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line(format, id, w.micros(time.Now()), what)
}

func (w *Writer) micros(t time.Time) int64 { return t.Sub(w.base).Microseconds() }

func (w *Writer) line(format string, a ...any) { fmt.Fprintf(w.out, format+"\n", a...) }

func (w *Writer) endRun(id int) {
	if r := w.runs[id]; r.count > 0 {
		w.line("r %d %d %d %d%s", id, r.first, r.latency, r.late, r.steps.String())
		*r = run{}
	}
}

// run is answered probes in a row that are not written yet.
type run struct {
	count, next   int   // how many, and the number that continues it
	first, last   int64 // starts
	latency, late int64 // the highest
	steps         strings.Builder
}

func (r *run) takes(seq int, start int64) bool {
	return r.count == 0 || r.count < longestRun && seq == r.next && start >= r.last
}

func (r *run) add(seq int, start, latency, late int64) {
	if r.count == 0 {
		r.first = start
	} else {
		fmt.Fprintf(&r.steps, " %d", start-r.last)
	}
	r.count, r.next, r.last = r.count+1, seq+1, start
	r.latency, r.late = max(r.latency, latency), max(r.late, late)
}
