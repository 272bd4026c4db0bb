package client_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"sampan/account"
	"sampan/client"
	"sampan/files"
)

// TestGivenUpUploadOfALenientAccount: an end of TLS without close_notify is a complete file there, so who gives up an upload of which
// the size was not told must say so in another way.
func TestGivenUpUploadOfALenientAccount(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			lenient := true
			_, err := h.book.Update(t.Context(), "alice", account.Change{Lenient: &lenient})
			must(t, err)
			address := h.ftp
			if way.scheme == "ftps" {
				address = h.ftps
			}
			r := h.dialURL(h.url(way.scheme, address, "alice"), way.set, func(o *client.Options) { o.Stream = true })
			u, err := r.Create(t.Context(), path(t, "f"), files.Want{Size: -1})
			must(t, err)
			_, err = u.Write(bytesOf(1, 100_000))
			must(t, err)
			must(t, u.Close())
			if _, err := os.Stat(filepath.Join(h.home("alice"), "f")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was given up is published: %v", err)
			}
			part, err := r.(files.Parter).Part(t.Context(), path(t, "f"))
			if err != nil || part.Size != 100_000 {
				t.Errorf("the part: %+v, %v", part, err)
			}
		})
	}
}
