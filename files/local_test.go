package files

import (
	"io"
	"os"
	"testing"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	h, err := OpenHome(dir, Options{Strict: true, Quota: 100})
	if err != nil {
		t.Fatal(err)
	}
	l := h.As("a")
	ctx := t.Context()
	p, _ := Parse(Root, "x")
	u, err := l.Create(ctx, p, Want{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(u, "hello")
	i, err := u.Commit(ctx, nil)
	t.Log(i, err)
	u, err = l.Create(ctx, p, Want{Size: -1})
	io.WriteString(u, "hello w")
	t.Log(u.Close())
	t.Log(l.Stat(ctx, p))
	t.Log(l.Part(ctx, p))
	sp, _ := h.Space(ctx)
	t.Log(sp)
	os.Mkdir(dir+"/d", 0o755)
	os.WriteFile(dir+"/d/f", nil, 0o644)
	os.Symlink("d", dir+"/ld")
	os.Symlink("/etc", dir+"/le")
	q, _ := Parse(Root, "ld")
	for i, err := range l.List(ctx, q) {
		t.Log(i, err)
	}
	for i, err := range l.List(ctx, Root) {
		t.Log(i, err)
	}
	q, _ = Parse(Root, "le/passwd")
	t.Log(l.Stat(ctx, q))
	t.Log(h.Close())
	b, _ := os.ReadFile(dir + "/.sampan/ledger")
	t.Log(string(b))
}
