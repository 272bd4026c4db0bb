//go:build unix

package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sampan/account"
	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

// TestRemoveTreeOfMany: many names go at a time, over SFTP and over FTP; of each directory one hears after what was in it, and what
// may not be removed does not stop the rest.
func TestRemoveTreeOfMany(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(*quay) client.Remote{
		"sftp": func(q *quay) client.Remote { return q.dial("bob") },
		"ftp":  func(q *quay) client.Remote { return q.h.dial("bob") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQuay(t)
			_, err := q.h.book.Add(t.Context(), account.NewAccount{Name: "bob", Password: password, Grants: []account.Grant{
				{Under: files.Root, May: account.Full}, {Under: path(t, "/t/locked"), May: account.ReadOnly},
			}})
			must(t, err)
			home, want := q.h.home("bob"), map[string]bool{}
			for _, dir := range []string{"t", "t/a", "t/a/deep", "t/locked", "t/z"} {
				want["/"+dir] = false
				for n := range 150 {
					name := fmt.Sprintf("%s/f%d", dir, n)
					write(t, filepath.Join(home, name), []byte("x"))
					if dir != "t/locked" { // which may be told of or not
						want["/"+name] = false
					}
				}
			}
			r := dial(q)
			err = client.RemoveTree(t.Context(), r, path(t, "t"), func(p files.Path, err error) {
				if strings.HasPrefix(p.String(), "/t/locked/") && err != nil {
					return
				}
				if told, ok := want[p.String()]; told || !ok {
					t.Errorf("%s: told of again", p)
				}
				want[p.String()] = true
				for other, told := range want {
					if strings.HasPrefix(other, p.String()+"/") && !told {
						t.Errorf("%s before %s", p, other)
					}
				}
				if kept := p.String() == "/t" || p.String() == "/t/locked"; kept != (fault.KindOf(err) == fault.Denied) || !kept && err != nil {
					t.Errorf("%s: %v", p, err)
				}
			})
			wantKind(t, err, fault.Denied)
			for name, told := range want {
				_, err := os.Lstat(filepath.Join(home, name))
				if kept := name == "/t" || name == "/t/locked"; !told || kept != (err == nil) {
					t.Errorf("%s: told of: %v, %v", name, told, err)
				}
			}
			read(t, filepath.Join(home, "t/locked/f149"))
		})
	}
}
