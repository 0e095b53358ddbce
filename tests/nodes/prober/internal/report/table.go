package report

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteTable prints the rows for people.
func WriteTable(out io.Writer, rows []*Row) error {
	tabs := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tabs, "KIND\tPHASE\tSENT\tLOST\tLOST%\tIN RESTART\tGAP ms\tSLOWEST ms\tLATE%\tBROKEN\tDOWN ms\tLONGEST GAP (UTC)")
	for _, r := range rows {
		fmt.Fprintf(tabs, "%s\t%s\t%d\t%d\t%.3f\t%d\t%.0f\t%.0f\t%.2f\t", r.Kind, r.Phase, r.Sent, r.Lost,
			r.LostPart, r.Restarted, r.Gap, r.Slowest, r.LatePart)
		if r.Kind == "tcp" {
			fmt.Fprintf(tabs, "%d\t%.0f\t", r.Broken, r.Down)
		} else {
			fmt.Fprint(tabs, "-\t-\t")
		}
		fmt.Fprintln(tabs, r.GapWhere)
	}
	return tabs.Flush()
}

// WriteJSON prints the rows and what is out of bounds for programs.
func WriteJSON(out io.Writer, rows []*Row, exceeded []string) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Rows     []*Row   `json:"rows"`
		Exceeded []string `json:"exceeded"`
	}{append([]*Row{}, rows...), append([]string{}, exceeded...)})
}
