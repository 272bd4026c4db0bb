//go:build unix

package client_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sampan/client"
	"sampan/fault"
	"sampan/sftp"
)

// TestSFTPNothingIsRenamedBehindARefusal: what is asked for in one go is checked, all of it, before the stage gets its name.
func TestSFTPNothingIsRenamedBehindARefusal(t *testing.T) {
	t.Parallel()
	near := t.TempDir()
	write(t, filepath.Join(near, "f"), bytesOf(1, 100_000))
	for _, c := range []struct {
		name    string
		refused func(r *sftp.Request) bool
		missing uint64 // bytes that the server says it has not
		want    fault.Kind
	}{
		{"the second WRITE", func(r *sftp.Request) bool { return r.Type == sftp.TypeWrite && r.Offset > 0 }, 0, fault.Denied},
		{"the sync", func(r *sftp.Request) bool { return r.Extension == sftp.ExtFsync }, 0, fault.Denied},
		{"the look", func(r *sftp.Request) bool { return r.Type == sftp.TypeFstat }, 0, fault.Denied},
		{"CLOSE", func(r *sftp.Request) bool { return r.Type == sftp.TypeClose }, 0, fault.Denied},
		{"nothing, but a byte is missing", func(*sftp.Request) bool { return false }, 1, fault.Mismatch},
		{"the time", func(r *sftp.Request) bool { return r.Type == sftp.TypeFsetstat }, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var renamed, stamped atomic.Bool
			end := uint64(0)
			s := newStrangeSSH(t, openDoor(), scripted(t, func(r *sftp.Request, send func(*sftp.Packet)) bool {
				stamped.Store(stamped.Load() || r.Type == sftp.TypeSetstat && r.Path == "/f")
				switch {
				case c.refused(r):
					send(sftp.StatusPacket(r.ID, sftp.Failure, "no", ""))
				case r.Type == sftp.TypeStat || r.Type == sftp.TypeLstat:
					send(sftp.StatusPacket(r.ID, sftp.NoSuchFile, "", ""))
				case r.Type == sftp.TypeWrite:
					end = max(end, r.Offset+uint64(len(r.Data)))
					return false
				case r.Type == sftp.TypeFstat:
					send(sftp.AttrsPacket(r.ID, sftp.Attrs{Has: sftp.HasSize | sftp.HasMode, Mode: 0o100644, Size: end - c.missing}))
				case r.Extension == sftp.ExtPosixRename:
					renamed.Store(renamed.Load() || r.To == "/f")
					send(sftp.StatusPacket(r.ID, sftp.OK, "", ""))
				case r.Extension == sftp.ExtFsync:
					send(sftp.StatusPacket(r.ID, sftp.OK, "", ""))
				default:
					return false
				}
				return true
			}, sftp.Extension{Name: sftp.ExtPosixRename, Data: "1"}, sftp.Extension{Name: sftp.ExtFsync, Data: "1"}))
			r, err := client.Dial(t.Context(), s.url("u"), s.options())
			must(t, err)
			defer r.Close()
			_, err = client.Copy(t.Context(), disk(t, near), path(t, "f"), r, path(t, "f"), client.CopyOptions{Tries: -1})
			if c.want == 0 {
				must(t, err)
				if !renamed.Load() || !stamped.Load() {
					t.Errorf("renamed %v, its time told again %v", renamed.Load(), stamped.Load())
				}
				return
			}
			wantKind(t, err, c.want)
			if renamed.Load() {
				t.Error("it was published nevertheless")
			}
		})
	}
}

// TestSFTPSourceThatChangesIsNotPublished: the look behind the last byte counts.
func TestSFTPSourceThatChangesIsNotPublished(t *testing.T) {
	t.Parallel()
	near := t.TempDir()
	is := func(seconds int64) sftp.Attrs {
		a := sftp.Attrs{Has: sftp.HasSize | sftp.HasMode, Mode: 0o100644, Size: 3}
		a.SetTime(time.Unix(seconds, 0))
		return a
	}
	s := newStrangeSSH(t, openDoor(), scripted(t, func(r *sftp.Request, send func(*sftp.Packet)) bool {
		switch r.Type {
		case sftp.TypeStat:
			send(sftp.AttrsPacket(r.ID, is(100)))
		case sftp.TypeFstat:
			send(sftp.AttrsPacket(r.ID, is(101)))
		case sftp.TypeRead:
			p, place := sftp.DataPacket(r.ID, 3)
			copy(place, "abc")
			send(p)
		default:
			return false
		}
		return true
	}))
	r, err := client.Dial(t.Context(), s.url("u"), s.options())
	must(t, err)
	defer r.Close()
	_, err = client.Copy(t.Context(), r, path(t, "f"), disk(t, near), path(t, "f"), client.CopyOptions{})
	wantKind(t, err, fault.Mismatch)
	if _, err := os.Stat(filepath.Join(near, "f")); err == nil {
		t.Error("it was published nevertheless")
	}
}

// TestSFTPTreeOverWhatIsThere: a listing of the target tells what a look at each name would tell.
func TestSFTPTreeOverWhatIsThere(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	r := s.dial()
	near, far := t.TempDir(), t.TempDir()
	tree := map[string][]byte{}
	for i := range 20 {
		tree[fmt.Sprintf("f%02d", i)] = bytesOf(uint64(i), 100*i)
	}
	plant(t, near, tree)
	write(t, filepath.Join(far, "f03"), []byte("old"))
	must(t, os.Chmod(filepath.Join(far, "f03"), 0o640))
	must(t, os.Mkdir(filepath.Join(far, "f04"), 0o755))
	write(t, filepath.Join(far, "elsewhere"), []byte("old"))
	must(t, os.Symlink("elsewhere", filepath.Join(far, "f05")))
	res, err := client.CopyTree(t.Context(), disk(t, near), path(t, "/"), r, path(t, far), client.CopyOptions{}, nil)
	wantKind(t, err, fault.IsDir)
	if res.Files != 19 || res.Failed != 1 {
		t.Errorf("%+v", res)
	}
	for name, content := range tree {
		if name != "f04" && !bytes.Equal(read(t, filepath.Join(far, name)), content) {
			t.Errorf("%s: others arrived", name)
		}
	}
	if i, err := os.Stat(filepath.Join(far, "f03")); err != nil || i.Mode().Perm() != 0o640 {
		t.Errorf("the mode became %v, %v", i.Mode(), err)
	}
	if string(read(t, filepath.Join(far, "elsewhere"))) != "old" {
		t.Error("it was written through a link")
	}
	res, err = client.CopyTree(t.Context(), disk(t, near), path(t, "/"), r, path(t, far), client.CopyOptions{NoClobber: true}, nil)
	if res.Files != 0 || res.Skipped != 19 {
		t.Errorf("kept: %+v, %v", res, err)
	}
}

// TestSFTPFileThatShrinksBehindItsClose: a small file is closed by the same go that reads it, so what is missing cannot be asked for again.
func TestSFTPFileThatShrinksBehindItsClose(t *testing.T) {
	t.Parallel()
	asked := atomic.Int32{}
	s := newStrangeSSH(t, openDoor(), scripted(t, func(r *sftp.Request, send func(*sftp.Packet)) bool {
		switch r.Type {
		case sftp.TypeStat, sftp.TypeFstat:
			send(sftp.AttrsPacket(r.ID, sftp.Attrs{Has: sftp.HasSize | sftp.HasMode, Mode: 0o100644, Size: 100}))
		case sftp.TypeRead:
			asked.Add(1)
			p, _ := sftp.DataPacket(r.ID, 50)
			send(p)
		default:
			return false
		}
		return true
	}, sftp.Extension{Name: sftp.ExtClose, Data: "1"}, sftp.Extension{Name: sftp.ExtPart, Data: "1"}, sftp.Extension{Name: sftp.ExtResume, Data: "1"},
		sftp.Extension{Name: sftp.ExtAbandon, Data: "1"}, sftp.Extension{Name: sftp.ExtCheckName, Data: "sha256"}))
	r, err := client.Dial(t.Context(), s.url("u"), s.options())
	must(t, err)
	defer r.Close()
	near := t.TempDir()
	_, err = client.Copy(t.Context(), r, path(t, "f"), disk(t, near), path(t, "f"), client.CopyOptions{Tries: -1})
	wantKind(t, err, fault.Mismatch)
	if n := asked.Load(); n != 2 {
		t.Errorf("%d READs, not one in each of two tries", n)
	}
	if _, err := os.Stat(filepath.Join(near, "f")); err == nil {
		t.Error("half a file was published")
	}
}
