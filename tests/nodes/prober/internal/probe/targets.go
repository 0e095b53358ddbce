package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Target is one line of the targets file. Kind and Name say which series its probes belong to, so a
// target whose Address changes has moved, and the time without an answer in between is its gap.
type Target struct{ Kind, Name, Address string }

// kinds are what a target can be; all but dns and tcp are probed alike, and told apart in the sums.
var kinds = []string{"pod", "clusterip", "nodeport", "dns", "node", "tcp"}

// parseTargets reads lines KIND NAME ADDRESS; empty ones and those that begin with # say nothing.
func parseTargets(text string) ([]Target, error) {
	var targets []Target
	known := map[[2]string]bool{}
	for i, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("line %d: want KIND NAME ADDRESS, got %q", i+1, line)
		}
		t := Target{f[0], f[1], f[2]}
		if err := t.complete(); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if known[[2]string{t.Kind, t.Name}] {
			return nil, fmt.Errorf("line %d: %s %s is there twice", i+1, t.Kind, t.Name)
		}
		known[[2]string{t.Kind, t.Name}] = true
		targets = append(targets, t)
	}
	return targets, nil
}

// complete checks the target, and adds the ports that a dns target may leave out.
func (t *Target) complete() error {
	if !slices.Contains(kinds, t.Kind) {
		return fmt.Errorf("kind %q is none of %s", t.Kind, strings.Join(kinds, ", "))
	}
	if t.Kind == "dns" {
		if _, err := netip.ParseAddr(t.Address); err == nil {
			t.Address = net.JoinHostPort(t.Address, "53")
		}
		if !strings.Contains(t.Name, ":") {
			t.Name += ":80"
		}
	}
	if _, err := netip.ParseAddrPort(t.Address); err != nil {
		return errors.New("want IP:PORT, got " + t.Address)
	}
	return nil
}
