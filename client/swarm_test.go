//go:build unix

package client_test

import (
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sampan/client"
	"sampan/files"
	"sampan/sftp"
)

// TestForeignServerIsNotBuriedInFiles: at first as many are sent as the round trip calls for, and more when the first one took long.
func TestForeignServerIsNotBuriedInFiles(t *testing.T) {
	t.Parallel()
	near := t.TempDir()
	for n := range 700 {
		write(t, filepath.Join(near, fmt.Sprint(n)), nil)
	}
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		var mu sync.Mutex
		var held []uint32 // OPENs that are not answered
		patient := false
		go scripted(t, func(r *sftp.Request, send func(*sftp.Packet)) bool {
			mu.Lock()
			defer mu.Unlock()
			if r.Extension == sftp.ExtLimits {
				send(sftp.ExtendedPacket(r.ID, sftp.Limits{Handles: 2000}))
				return true
			}
			if r.Type != sftp.TypeOpen || patient {
				return false
			}
			held = append(held, r.ID)
			return true
		}, sftp.Extension{Name: sftp.ExtLimits, Data: "1"})(there)
		waits := func(n int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(held) != n {
				t.Errorf("%d files are on their way, not %d", len(held), n)
			}
		}
		open := func(ids []uint32) {
			for _, id := range ids {
				there.Write(sftp.HandlePacket(id, "h").Wire())
			}
		}
		r, err := client.SFTPSession(t.Context(), here)
		must(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := client.CopyTree(t.Context(), disk(t, near), files.Root, r, path(t, "new"), client.CopyOptions{Tries: -1}, nil)
			done <- err
		}()
		waits(64)
		time.Sleep(30 * time.Millisecond)
		open(held[:1])
		waits(1 + 640)
		mu.Lock()
		patient = true
		mu.Unlock()
		open(held[1:])
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.Close()
		there.Close()
		synctest.Wait()
	})
}
