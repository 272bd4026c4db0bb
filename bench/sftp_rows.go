//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// sftpRows are the rows over SSH. All servers and clients use one cipher.
func sftpRows(z *sizes) []row {
	var t []row
	for _, up := range []bool{false, true} {
		t = append(t, bigSFTPRow(up, false), bigSFTPRow(up, true))
	}
	for _, up := range []bool{false, true} {
		t = append(t, smallSFTPRow(up, 1, 8), smallSFTPRow(up, 8, 1), treeRow(up))
	}
	return append(t, row{
		name: "idle-sftp", title: fmt.Sprintf("%d idle sessions, SFTP", z.sessions), unit: "KiB each", less: true,
		most: 100, sftp: true, fresh: true, run: (*trial).idleSFTP,
	})
}

// bigSFTPRow moves the big file with OpenSSH's sftp, or with our client, which is compared with it.
func bigSFTPRow(up, ours bool) row {
	r := row{
		name: "sftp-big-" + direction(up), title: fmt.Sprintf("big file %s, SFTP, OpenSSH's sftp", direction(up)),
		unit: "MB/s", goal: 1.05, per: "GiB", sftp: true,
		before: func(_ *site, z *sizes) error { return touchMemory(2 * z.big) },
		run:    func(t *trial) (measure, error) { return t.bigSFTP(up, t.openSFTP) },
	}
	if ours {
		r.than, r.goal = r.name, 1.5
		r.name += "-own"
		r.title = fmt.Sprintf("big file %s, SFTP, our client (ratio: to the row above)", direction(up))
		r.run = func(t *trial) (measure, error) { return t.bigSFTP(up, t.openOurs) }
	}
	return r
}

func (t *trial) bigSFTP(up bool, open func() (*program, error)) (measure, error) {
	size := t.sizes.big
	local, err := os.MkdirTemp(t.env.home, "got-")
	if err != nil {
		return measure{}, err
	}
	defer os.RemoveAll(local)
	got := filepath.Join(local, "big")
	command := "get big " + got
	if up {
		command = fmt.Sprintf("put %s up/big", filepath.Join(t.home, "big"))
	}
	elapsed, cpu, err := t.by(open, command)
	if err == nil && up {
		err = t.arrived(1, size)
	} else if err == nil {
		err = whole(got, size)
	}
	return measure{float64(size) / 1e6 / elapsed.Seconds(), cpu.Seconds() / (float64(size) / (1 << 30))}, err
}

func whole(name string, size int64) error {
	i, err := os.Stat(name)
	if err == nil && i.Size() != size {
		err = fmt.Errorf("%d bytes came of %d", i.Size(), size)
	}
	return err
}

// smallSFTPRow moves small files with pkg/sftp, so many at a time over each of so many connections.
func smallSFTPRow(up bool, conns, each int) row {
	r := row{
		name:  fmt.Sprintf("sftp-small-%s-%d", direction(up), conns),
		title: fmt.Sprintf("4 KiB files %s, SFTP, pkg/sftp, %d× (%d in flight)", direction(up), conns, conns*each),
		unit:  "files/s", goal: 1.8, per: "1000 files", sftp: true, strict: up,
		run: func(t *trial) (measure, error) { return t.smallSFTP(up, conns, each) },
	}
	return r
}

func (t *trial) smallSFTP(up bool, conns, each int) (measure, error) {
	// Its sockets do not block threads, as those of the other rows do.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU()))
	clients := make([]*sftpClient, conns)
	for i := range clients {
		c, err := t.dialSSH()
		if err != nil {
			return measure{}, err
		}
		defer c.conn.Close()
		clients[i] = c
	}
	files, workers := t.sizes.files, conns*each
	content := random(smallSize)
	used := t.proc.cpu()
	begun := time.Now()
	err := together(workers, func(w int) error {
		c, got := clients[w%conns], make([]byte, smallSize)
		for i := w; i < files; i += workers {
			var err error
			if up {
				err = c.store("up/"+smallName(i), content)
			} else {
				err = c.fetch("small/"+smallName(i), got)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	elapsed, cpu := time.Since(begun), t.proc.cpu()-used
	if err == nil && up {
		err = t.arrived(files, smallSize)
	}
	return perFile(files, elapsed, cpu), err
}

func perFile(files int, elapsed, cpu time.Duration) measure {
	return measure{float64(files) / elapsed.Seconds(), cpu.Seconds() / float64(files) * 1000}
}

// treeRow moves a directory of small files with our client; it is compared with pkg/sftp's eight in flight.
func treeRow(up bool) row {
	return row{
		name:  fmt.Sprintf("sftp-small-%s-own", direction(up)),
		title: fmt.Sprintf("4 KiB files %s, SFTP, our client, a directory (ratio: to pkg/sftp, 1×)", direction(up)),
		unit:  "files/s", goal: 1.5, than: fmt.Sprintf("sftp-small-%s-1", direction(up)), per: "1000 files", sftp: true, strict: up,
		run: func(t *trial) (measure, error) { return t.tree(up) },
	}
}

func (t *trial) tree(up bool) (measure, error) {
	local, err := os.MkdirTemp(t.env.home, "tree-")
	if err != nil {
		return measure{}, err
	}
	defer os.RemoveAll(local)
	files := t.sizes.files
	command := "get -r small " + local
	if up {
		content := random(smallSize)
		for i := range files {
			if err := os.WriteFile(filepath.Join(local, smallName(i)), content, 0o644); err != nil {
				return measure{}, err
			}
		}
		command = fmt.Sprintf("put -r %s up", local)
	}
	elapsed, cpu, err := t.by(t.openOurs, command)
	return perFile(files, elapsed, cpu), err
}

// verifySFTP checks that a server moves bytes as they are.
func (l *lab) verifySFTP(s *site) error {
	t, err := l.start(s, false, true)
	if err != nil {
		return err
	}
	defer t.end()
	content := random(3<<20 + 1)
	return t.failed(t.overSSH(func(c *sftpClient) error {
		if err := c.store("up/proof", content); err != nil {
			return err
		}
		got := make([]byte, len(content))
		if err := c.fetch("up/proof", got); err != nil {
			return err
		}
		if !bytes.Equal(got, content) {
			return errors.New("what came back is not what was sent")
		}
		return nil
	}))
}

// idleSFTP is idle with connections of SFTP.
func (t *trial) idleSFTP() (measure, error) {
	return t.idle(func() (func(), error) {
		c, err := t.dialSSH()
		if err != nil {
			return nil, err
		}
		return func() { c.conn.Close() }, nil
	})
}
