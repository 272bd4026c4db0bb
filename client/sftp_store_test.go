//go:build unix

package client_test

import (
	"context"
	"io"
	"iter"
	"strings"
	"testing"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/files/filestest"
)

// TestSFTPIsAStoreWithOpenSSH runs the suite of stores against OpenSSH's server. What it cannot do: it takes two spellings of
// a name for two names, shows no parts in listings and keeps no quota, computes no hashes, and holds no name for an upload.
func TestSFTPIsAStoreWithOpenSSH(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	filestest.Run(t, func(t *testing.T) filestest.Rig {
		r, err := client.Dial(t.Context(), s.url(), s.options())
		must(t, err)
		t.Cleanup(func() { r.Close() })
		return filestest.Rig{Store: below{r, t.TempDir()}, Can: filestest.Kinds | filestest.Modes | filestest.Apart}
	})
}

// below is a directory of a store as a store of its own. Its root is refused here, as a store refuses its own.
type below struct {
	files.Store
	dir string
}

func (b below) in(p files.Path) files.Path {
	q, err := files.Parse(files.Root, b.dir+p.String())
	if err != nil {
		panic(err)
	}
	return q
}

func (b below) out(i files.Info) files.Info {
	i.Path, _ = files.Parse(files.Root, strings.TrimPrefix(i.Path.String(), b.dir))
	return i
}

func (b below) Stat(ctx context.Context, p files.Path) (files.Info, error) {
	i, err := b.Store.Stat(ctx, b.in(p))
	return b.out(i), err
}

func (b below) List(ctx context.Context, p files.Path) iter.Seq2[files.Info, error] {
	return func(yield func(files.Info, error) bool) {
		for i, err := range b.Store.List(ctx, b.in(p)) {
			if !yield(b.out(i), err) {
				return
			}
		}
	}
}

func (b below) Open(ctx context.Context, p files.Path, off int64) (io.ReadCloser, files.Info, error) {
	r, i, err := b.Store.Open(ctx, b.in(p), off)
	return r, b.out(i), err
}

func (b below) Create(ctx context.Context, p files.Path, w files.Want) (files.Upload, error) {
	if p.IsRoot() {
		return b.Store.Create(ctx, p, w)
	}
	u, err := b.Store.Create(ctx, b.in(p), w)
	if err != nil {
		return nil, err
	}
	return belowUpload{u, b}, nil
}

type belowUpload struct {
	files.Upload
	b below
}

func (u belowUpload) Commit(ctx context.Context, sure func() error) (files.Info, error) {
	i, err := u.Upload.Commit(ctx, sure)
	return u.b.out(i), err
}

func (b below) Mkdir(ctx context.Context, p files.Path) error {
	if p.IsRoot() {
		return b.Store.Mkdir(ctx, p)
	}
	return b.Store.Mkdir(ctx, b.in(p))
}

func (b below) Remove(ctx context.Context, p files.Path) error {
	if p.IsRoot() {
		return b.Store.Remove(ctx, p)
	}
	return b.Store.Remove(ctx, b.in(p))
}

func (b below) Rename(ctx context.Context, from, to files.Path, replace bool) error {
	if from.IsRoot() || to.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be renamed")
	}
	return b.Store.Rename(ctx, b.in(from), b.in(to), replace)
}

func (b below) Set(ctx context.Context, p files.Path, a files.Attr) error {
	return b.Store.Set(ctx, b.in(p), a)
}
