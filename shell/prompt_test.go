package shell

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadLineTakesNoMoreThanALine(t *testing.T) {
	t.Parallel()
	r := strings.NewReader("one\r\ntwo\nlast")
	for _, want := range []string{"one", "two", "last"} {
		if got, err := readLine(r); got != want || err != nil {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	if _, err := readLine(r); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
