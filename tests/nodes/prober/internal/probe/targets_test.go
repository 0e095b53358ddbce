package probe

import (
	"slices"
	"strings"
	"testing"
)

func TestParseTargets(t *testing.T) {
	got, err := parseTargets(`
# what w1 probes
pod w2 10.244.2.5:8080
dns web.default.svc.cluster.local 10.96.0.10
dns web.default:8080 10.96.0.10:5353
tcp w2 [fd00::1]:8081`)
	want := []Target{
		{"pod", "w2", "10.244.2.5:8080"},
		{"dns", "web.default.svc.cluster.local:80", "10.96.0.10:53"},
		{"dns", "web.default:8080", "10.96.0.10:5353"},
		{"tcp", "w2", "[fd00::1]:8081"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestParseTargetsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"pod w2":                               "line 1: want KIND NAME ADDRESS",
		"\npods w2 10.0.0.1:80":                `line 2: kind "pods" is none of pod,`,
		"pod w2 10.0.0.1":                      "want IP:PORT",
		"node w2 web:80":                       "want IP:PORT",
		"pod w2 10.0.0.1:80\npod w2 1.1.1.1:1": "line 2: pod w2 is there twice",
	} {
		if _, err := parseTargets(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
