package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"sampan/words"
)

func TestSayTellsUsersNoCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("open /srv/secret/path: input/output error")
	err := fmt.Errorf("outer: %w", Wrap(NoSpace, cause, "%s: no space left on the server's disk", "a.txt"))
	if got := Say(err).String(); got != "a.txt: no space left on the server's disk" {
		t.Errorf("Say: %q", got)
	}
	if KindOf(err) != NoSpace || !errors.Is(err, cause) {
		t.Errorf("kind %v, cause lost: %v", KindOf(err), !errors.Is(err, cause))
	}
	if got := Say(cause).String(); got != "something went wrong inside; the log says what" {
		t.Errorf("Say of a foreign error: %q", got)
	}
	if got := Say(context.Canceled).In(words.Chinese); got != "已中断" {
		t.Errorf("Say in Chinese: %q", got)
	}
}

// TestFromClassesRealErrors makes the system give each error.
func TestFromClassesRealErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/full", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/full/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, missing := os.Open(dir + "/missing")
	_, below := os.Open(dir + "/full/file/below")
	long := make([]byte, 300)
	for i := range long {
		long[i] = 'x'
	}
	_, tooLong := os.Open(dir + "/" + string(long))
	for _, c := range []struct {
		name string
		err  error
		want Kind
	}{
		{"missing", missing, NotExist},
		{"taken", os.Mkdir(dir+"/full", 0o700), Exist},
		{"not empty", os.Remove(dir + "/full"), NotEmpty},
		{"below a file", below, NotDir},
		{"too long", tooLong, BadName},
		{"permission", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, Denied},
		{"deadline", os.ErrDeadlineExceeded, Busy},
		{"other", errors.New("boom"), Internal},
		{"own", New(OverQuota, "own"), OverQuota},
	} {
		if c.err == nil {
			t.Errorf("%s: the system gave no error", c.name)
			continue
		}
		if got := From(c.err, "n"); KindOf(got) != c.want {
			t.Errorf("%s: %v is %v, want %v", c.name, c.err, KindOf(got), c.want)
		}
	}
	if From(nil, "n") != nil {
		t.Error("From(nil) is an error")
	}
}
