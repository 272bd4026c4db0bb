package client_test

import (
	"context"
	"path/filepath"
	"testing"

	"sampan/account"
	"sampan/client"
	"sampan/files/filestest"
)

// TestRemoteIsAStore runs the suite of stores through the client, the wire and the server: it proves both ends.
func TestRemoteIsAStore(t *testing.T) {
	t.Parallel()
	for _, way := range ways[:2] { // plain and TLS; the others differ in how connections are made
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			filestest.Run(t, rig(way.scheme, way.set))
		})
	}
}

// rig makes stores on servers of their own, reached in one way.
func rig(scheme string, set func(*client.Options)) filestest.Maker {
	return func(t *testing.T) filestest.Rig {
		h := newHarbour(t)
		home := filepath.Join(h.homes, "shared")
		for _, name := range []string{"bob", "carol"} {
			_, err := h.book.Add(t.Context(), account.NewAccount{Name: name, Password: password, Home: home})
			must(t, err)
		}
		address := h.ftp
		if scheme == "ftps" {
			address = h.ftps
		}
		return filestest.Rig{
			Store: h.dialURL(h.url(scheme, address, "bob"), set),
			Other: h.dialURL(h.url(scheme, address, "carol"), set),
			Dir:   home,
			Can:   filestest.Twins | filestest.Listed | filestest.Apart | filestest.Kinds | filestest.Parts | filestest.Owners | filestest.Quota | filestest.Sums | filestest.Modes | filestest.Disk,
			SetQuota: func(n int64) {
				_, err := h.book.Update(context.Background(), "bob", account.Change{Quota: &n})
				must(t, err)
			},
		}
	}
}
