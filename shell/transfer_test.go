package shell

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"sampan/client"
)

// TestInterruptedTreeIsTold: the last line must not be held back behind the end of the program.
func TestInterruptedTreeIsTold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tk := &task{Env: &Env{Out: &out, Err: &bytes.Buffer{}}}
	tk.JSON, tk.Recursive = true, true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var places [2]place
	for i := range places {
		s, err := client.Disk(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		places[i] = place{store: s, path: mustPath(t, "/")}
	}
	if err := tk.copyTo(ctx, places[0], places[1]); err == nil || !strings.Contains(out.String(), "interrupted") {
		t.Errorf("%v; told: %q", err, out.String())
	}
}
