package files

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"sampan/fault"
)

func TestSpellings(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                   "",
		"plain.txt":          "plain.txt",
		"中文.txt":             "中文.txt",
		"\xff\xfe":           "\xff\xfe",
		"\u00e9":             "e\u0301",
		"e\u0301":            "\u00e9",
		"\ud55c":             "\u1112\u1161\u11ab",
		"\u304b\u3099":       "\u304c",
		"a\u0301\xff\xe9":    "\u00e1\xff\xe9",
		"\u00e9 e\u0301":     "\u00e9 e\u0301", // of both
		"\u212b":             "\u212b",         // the sign of Ångström
		"\ufa19\u793e":       "\ufa19\u793e",   // a variant of 神
		"\ufa19\u793e\u00e9": "\ufa19\u793e\u00e9",
	} {
		if got := twin(name); got != want {
			t.Errorf("the twin of %q is %q, want %q", name, got, want)
		}
	}
	if p := mustPath("/e\u0301/x"); p.NFC() != mustPath("/\u00e9/x") || mustPath("/").NFC() != Root {
		t.Errorf("NFC: %q", p.NFC())
	}
}

// TestTwinsInOneBatch: of two spellings that are made in one batch only one becomes a name.
func TestTwinsInOneBatch(t *testing.T) {
	t.Parallel()
	h, err := OpenHome(t.TempDir(), Options{Quota: -1, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l := h.As("alice")
	h.leader.Lock()
	errs := make([]error, 2)
	var all sync.WaitGroup
	for i, name := range []string{"/\u00e9", "/e\u0301"} {
		all.Go(func() { errs[i] = l.Mkdir(t.Context(), mustPath(name)) })
	}
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		h.queue.mu.Lock()
		n := len(h.queue.waiting)
		h.queue.mu.Unlock()
		if n == 2 || time.Now().After(end) {
			break
		}
	}
	h.leader.Unlock()
	all.Wait()
	if errs[0] == nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	if errs[1] != nil || fault.KindOf(errs[0]) != fault.Exist || errs[0] == nil {
		t.Errorf("of two Mkdir of twins: %v", errs)
	}
	n := 0
	for i, err := range l.List(t.Context(), Root) {
		if n++; err != nil || n > 1 {
			t.Errorf("listed: %v, %v", i.Path, err)
		}
	}
}
