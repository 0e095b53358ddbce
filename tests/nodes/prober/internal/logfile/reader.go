package logfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"kubectl-cni/tests/nodes/prober/internal/span"
)

// Session is what one prober logged from its start to its end; times are nanoseconds since 1970.
type Session struct {
	From   string
	Stalls []span.Span
	Series []*Series
}

// Series is a target's probes in a session.
type Series struct {
	Kind, Name string
	Begin, End int64
	Probes     []Probe // in the order in which they were logged
	Breaks     []Break
}

// Probe is one probe. Latency and Late of those that were logged as a run are the run's highest.
type Probe struct {
	Start, Latency, Late int64
	Class                string // empty: answered
}

// Break is the end of a long-lived connection; Down is -1 if no new one answered.
type Break struct{ At, Down int64 }

// Read reads a log. The line that a killed prober left unfinished is passed over, any other that is
// not understood is an error.
func Read(in io.Reader) ([]*Session, error) {
	var p parser
	var bad error
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if bad != nil && !strings.HasPrefix(line, "P ") {
			return nil, bad
		}
		bad = nil
		if err := p.line(line); err != nil {
			bad = fmt.Errorf("line %d: %w: %.60q", n, err, line)
		}
	}
	p.endSession()
	return p.sessions, lines.Err()
}

var errLine = errors.New("not a line of a prober's log")

type parser struct {
	sessions []*Session
	now      *Session
	byID     map[string]*Series
	base     int64
	latest   int64
}

// line takes one line in. One that was cut off may still look whole, so that its last number is
// wrong: only lines that end a file or a session can be, and they are at most a second of one target.
func (p *parser) line(text string) error {
	f := strings.Fields(text)
	switch {
	case len(f) == 4 && f[0] == "P":
		return p.session(f)
	case p.now == nil || len(f) < 3:
		return errLine
	case f[0] == "w" && len(f) == 3:
		n, err := numbers(f[1:])
		if err == nil {
			p.now.Stalls = append(p.now.Stalls, span.Span{From: p.base + n[0], To: p.base + n[0] + n[1]})
		}
		return err
	case f[0] == "T" && len(f) == 6:
		n, err := numbers(f[2:3])
		if err == nil {
			s := &Series{Kind: f[3], Name: f[4], Begin: p.at(n[0]), End: -1}
			p.now.Series, p.byID[f[1]] = append(p.now.Series, s), s
		}
		return err
	}
	if s := p.byID[f[1]]; s != nil {
		return p.event(s, f)
	}
	return errLine
}

func (p *parser) session(f []string) (err error) {
	p.endSession()
	p.now, p.byID = &Session{From: f[2]}, map[string]*Series{}
	p.sessions = append(p.sessions, p.now)
	if f[1] != version {
		return fmt.Errorf("format %s, not %s", f[1], version)
	}
	p.base, err = strconv.ParseInt(f[3], 10, 64)
	p.latest = p.base
	return err
}

// endSession ends the targets that a killed prober did not end.
func (p *parser) endSession() {
	for _, s := range p.byID {
		if s.End < 0 {
			s.End = p.latest
		}
	}
}

func (p *parser) event(s *Series, f []string) error {
	words := f[2:]
	if f[0] == "A" || f[0] == "f" || f[0] == "b" {
		words = f[2 : len(f)-1] // the last one is not a number
	}
	n, err := numbers(words)
	if err != nil {
		return err
	}
	switch kind := f[0]; {
	case kind == "A" && len(n) == 1:
		p.at(n[0])
	case kind == "E" && len(n) == 1:
		s.End = p.at(n[0])
	case kind == "b" && len(n) == 1:
		s.Breaks = append(s.Breaks, Break{At: p.at(n[0]), Down: -1})
	case kind == "c" && len(n) == 2 && len(s.Breaks) > 0:
		s.Breaks[len(s.Breaks)-1].Down = n[1]
	case kind == "f" && len(n) == 3:
		s.Probes = append(s.Probes, Probe{p.at(n[0]), n[1], n[2], f[len(f)-1]})
	case kind == "s" && len(n) == 3:
		s.Probes = append(s.Probes, Probe{p.at(n[0]), n[1], n[2], ""})
	case kind == "r" && len(n) >= 3:
		start := n[0]
		s.Probes = append(s.Probes, Probe{p.at(start), n[1], n[2], ""})
		for _, step := range n[3:] {
			start += step
			s.Probes = append(s.Probes, Probe{p.at(start), n[1], n[2], ""})
		}
	default:
		return errLine
	}
	return nil
}

// at turns an offset into a time and remembers the latest.
func (p *parser) at(offset int64) int64 {
	p.latest = max(p.latest, p.base+offset)
	return p.base + offset
}

// numbers reads microseconds, as nanoseconds.
func numbers(words []string) ([]int64, error) {
	n := make([]int64, len(words))
	for i, word := range words {
		v, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, errLine
		}
		n[i] = v * 1000
	}
	return n, nil
}
