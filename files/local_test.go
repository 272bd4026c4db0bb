package files_test

import (
	"testing"

	"sampan/files"
	"sampan/files/filestest"
)

const all = filestest.Twins | filestest.Listed | filestest.Apart | filestest.Kinds | filestest.Parts | filestest.Owners | filestest.Quota | filestest.Sums | filestest.Random |
	filestest.Modes | filestest.Fresh

func openHome(t *testing.T, dir string, o files.Options) *files.Home {
	t.Helper()
	h, err := files.OpenHome(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for name, strict := range map[string]bool{"strict": true, "fast": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			filestest.Run(t, func(t *testing.T) filestest.Rig {
				dir := t.TempDir()
				h := openHome(t, dir, files.Options{Strict: strict, Quota: -1})
				return filestest.Rig{
					Store: h.As("alice"), Other: h.As("bob"), SetQuota: h.SetQuota, Dir: dir, Can: all | filestest.Disk,
				}
			})
		})
	}
}

func TestMem(t *testing.T) {
	t.Parallel()
	filestest.Run(t, func(t *testing.T) filestest.Rig {
		m := files.NewMem(-1)
		return filestest.Rig{Store: m.As("alice"), Other: m.As("bob"), SetQuota: m.SetQuota, Can: all}
	})
}
