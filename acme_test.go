package main

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"go.uber.org/zap"
)

// TestForeignLog: what a library logs with zap stands in our log, one step quieter.
func TestForeignLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	log := zap.New(slogCore{to.With("from", "acme")}).With(zap.String("name", "a.example"))
	log.Info("waiting")
	log.Warn("slow", zap.Int("times", 3))
	log.Error("refused\nlevel=ERROR", zap.Error(errors.New("no")))
	want := `level=INFO msg=slow from=acme name=a.example times=3
level=WARN msg="refused\nlevel=ERROR" from=acme name=a.example error=no
`
	if got := out.String(); got != want {
		t.Errorf("%s", got)
	}
}
