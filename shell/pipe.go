package shell

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

// piped is the name that stands for what is piped in or out.
const piped = "-"

// putPiped uploads what is piped in. It cannot be read twice, so nothing of it is resumed or tried again.
func (t *task) putPiped(ctx context.Context, remote string) error {
	if t.prompt != nil {
		return fault.New(fault.Syntax, "- stands for what is piped into a command; use it like this: %s", "… | sampan put - URL")
	}
	dst, err := t.remotePlace(ctx, remote, false)
	if err != nil {
		return err
	}
	if dir, err := dst.isDir(ctx); err != nil || dir || dst.into {
		if err == nil {
			err = fault.New(fault.IsDir, "%s is a directory; what is piped in needs a name there", dst.show)
		}
		return err
	}
	m := t.meter(place{}, dst)
	defer m.clear()
	begin := time.Now()
	r, err := t.pour(ctx, dst, m)
	if r.Took = time.Since(begin); err == nil {
		m.done(r, nil)
	}
	return err
}

// pour uploads In and compares what arrived.
func (t *task) pour(ctx context.Context, dst place, m *meter) (client.Result, error) {
	r := client.Result{To: dst.path}
	up, err := dst.store.Create(ctx, dst.path, files.Want{Size: -1, New: t.NoClobber, Sum: true})
	if err != nil {
		return r, err
	}
	defer up.Close()
	// A read of In cannot be called off; the goroutine ends with the program at the latest.
	in, feed := io.Pipe()
	go func() {
		_, err := io.Copy(feed, t.In)
		feed.CloseWithError(err)
	}()
	defer context.AfterFunc(ctx, func() { in.Close() })()
	hash := sha256.New()
	_, err = files.Pump(up, io.TeeReader(in, hash), 256<<10, func(done, want int64) (int64, error) {
		m.progress(client.Progress{To: dst.path, Phase: client.Moving, Done: done, Size: -1})
		return want, ctx.Err()
	})
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if err != nil {
		return r, err
	}
	i, err := up.Commit(ctx, nil)
	if err != nil {
		return r, err
	}
	r.Size, r.Bytes, r.Sum = i.Size, i.Size, hex.EncodeToString(hash.Sum(nil))
	if t.ASCII {
		r.Sum = ""
		return r, nil
	}
	switch there, err := dst.remote.Sum(ctx, dst.path, "SHA-256", 0, -1); {
	case err != nil && fault.KindOf(err) == fault.Unsupported:
		return r, nil
	case err != nil:
		return r, err
	case hex.EncodeToString(there) != r.Sum:
		return r, fault.New(fault.Mismatch, "%s: what arrived is not what was sent", dst.show)
	}
	r.Verified = true
	return r, nil
}
