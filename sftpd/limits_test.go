package sftpd

import (
	"context"
	"strings"
	"testing"
	"time"

	"sampan/account"
)

// TestRates: what is read and written takes its time under the limits of the account, and is whole.
func TestRates(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	rate := int64(800 << 10)
	if _, err := h.book.Update(context.Background(), "alice", account.Change{Down: &rate, Up: &rate}); err != nil {
		t.Fatal(err)
	}
	p := h.sftp("alice")
	content := strings.Repeat("0123456789abcdef", 25<<10)
	for what, f := range map[string]func(){
		"an upload": func() { p.store("/a", content); h.holds("alice", "a", content) },
		"a download": func() {
			h.put("alice", "b", content)
			if got := p.fetch("/b"); got != content {
				t.Errorf("%d bytes came", len(got))
			}
		},
	} {
		began := time.Now()
		f()
		if d := time.Since(began); d < 200*time.Millisecond {
			t.Errorf("%s took %v, should half a second", what, d)
		}
	}
}
