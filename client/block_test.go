package client_test

import (
	"strings"
	"testing"

	"sampan/client"
	"sampan/files/filestest"
)

// TestStreamModeIsAStore runs the suite without block mode, as foreign servers are spoken with; TestRemoteIsAStore runs
// it with.
func TestStreamModeIsAStore(t *testing.T) {
	t.Parallel()
	for _, way := range ways[:2] {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			filestest.Run(t, rig(way.scheme, func(o *client.Options) {
				way.set(o)
				o.Stream = true
			}))
		})
	}
}

// TestBlockModeIsSpoken: the suite above would pass without it.
func TestBlockModeIsSpoken(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	for _, stream := range []bool{false, true} {
		said := &traced{}
		r := h.dial("alice", func(o *client.Options) { o.Trace, o.Stream = said.add, stream })
		for range 3 {
			for _, err := range r.List(t.Context(), path(t, "/")) {
				must(t, err)
			}
		}
		blocks, connections := strings.Count(said.String(), "> MODE B"), strings.Count(said.String(), "> EPSV")
		if !stream && (blocks != 1 || connections != 1) || stream && (blocks != 0 || connections != 3) {
			t.Errorf("stream=%v: %d times MODE B, %d data connections:\n%s", stream, blocks, connections, said)
		}
	}
}
