package draw

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"kubectl-cni/tests/nodes/prober/internal/logfile"
	"kubectl-cni/tests/nodes/prober/internal/report"
)

func judged(t *testing.T, log string) []report.Judged {
	t.Helper()
	sessions, err := logfile.Read(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	return report.JudgeAll(sessions, 50*time.Millisecond, nil)
}

func TestPicture(t *testing.T) {
	all := judged(t, `P 1 w1 1000000000000
T 0 0 nodeport web 10.0.0.1:80
T 1 0 pod w2 10.0.0.1:80
r 0 0 900 0 50000 50000
r 1 0 900 0 50000 50000 5000000
f 0 150000 800000 0 timeout
f 0 950000 10 0 refused
f 0 980000 10 0 refused
w 300000 200000
E 0 6000000
E 1 6000000
`)
	var out strings.Builder
	steps := []report.Step{{At: 1000.2e9, Text: "label <none> & wait"}, {At: 1000.21e9, Text: strings.Repeat("x", 200)}}
	if err := SVG(&out, "a > b", all, steps); err != nil {
		t.Fatal(err)
	}
	classes, text := elements(t, out.String())
	for class, want := range map[string]int{"lane": 2, "lost": 2, "late": 3, "mark": 2, "step": 2, "restarted": 1} {
		if classes[class] != want { // each that has a key counts once for it
			t.Errorf("%d elements of class %s, want %d", classes[class], class, want)
		}
	}
	for _, want := range []string{"a > b", "label <none> & wait", "0:06", "gap 680 ms", strings.Repeat("x", 71) + "…"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
	// 6 s over 960 pixels: the bar of 100 ms is 16 wide and begins at 116; one of the two probes
	// of nodeport that were sent in it was lost.
	if want := `class="lost" d="M116.0 `; !strings.Contains(out.String(), want) {
		t.Errorf("%s is not in the picture", want)
	}
	if want := "v-26.0h16.0v26.0z"; !strings.Contains(out.String(), want) {
		t.Errorf("%s is not in the picture", want)
	}
	if strings.Contains(out.String(), "<script") || strings.Contains(out.String(), "href") {
		t.Error("the picture is not self-contained")
	}
}

func TestNothingToDrawIsAnError(t *testing.T) {
	if err := SVG(io.Discard, "", nil, []report.Step{{At: 1, Text: "a"}}); err == nil {
		t.Error("no error")
	}
}

func TestStepsCloseToEachOtherAreMarkedInRows(t *testing.T) {
	a := axis{0, plot} // a pixel a nanosecond
	m := place([]report.Step{{At: 1}, {At: 5}, {At: 12}, {At: 22}, {At: 500}}, a)
	for i, want := range []int{0, 1, 2, 0, 0} {
		if m.row[i] != want {
			t.Errorf("mark %d is in row %d, want %d", i, m.row[i], want)
		}
	}
	if m.rows != 3 {
		t.Errorf("%d rows", m.rows)
	}
}

// elements counts an SVG's elements by class, and returns its text.
func elements(t *testing.T, svg string) (map[string]int, string) {
	t.Helper()
	classes, text := map[string]int{}, ""
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := decoder.Token()
		if err == io.EOF {
			return classes, text
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, attribute := range token.Attr {
				if attribute.Name.Local == "class" {
					classes[attribute.Value]++
				}
			}
		case xml.CharData:
			text += string(token)
		}
	}
}
