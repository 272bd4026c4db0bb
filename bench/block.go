//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"sync"
)

// Block mode (RFC 959 section 3.4.2) as docs/PROTOCOL.md has it: all commands are sent at once over one control
// connection, and all files go over one data connection.

// blockRow is smallRow with block mode over one connection; the peers do what they do best, which is many connections.
func blockRow(up, secure bool, goal float64) row {
	short, long := cover(secure)
	return row{
		name:  fmt.Sprintf("block-%s%s", direction(up), short),
		title: fmt.Sprintf("4 KiB files %s, %s, block mode over 1 connection (peers: 8×)", direction(up), long),
		unit:  "files/s", goal: goal, per: "1000 files", secure: secure, strict: up,
		run: func(t *trial) (measure, error) {
			if !t.ours {
				return t.small(up, 8)
			}
			return t.blocks(up)
		},
	}
}

// blocks moves many small files in block mode.
func (t *trial) blocks(up bool) (measure, error) {
	files := t.sizes.files
	elapsed, cpu, err := t.side(1, func(c *client, _ int) error {
		if up {
			return c.storeBlocks(files)
		}
		return c.fetchBlocks(files)
	})
	if err == nil && up {
		err = t.arrived(files, smallSize)
	}
	return measure{float64(files) / elapsed.Seconds(), cpu.Seconds() / float64(files) * 1000}, err
}

// block makes a data connection of block mode; in a row of TLS that begins when the first bytes go over it.
func (c *client) block() (io.ReadWriteCloser, error) {
	for _, command := range []string{"MODE B", "OPTS PIPELINE ON"} {
		if err := c.do(200, command); err != nil {
			return nil, err
		}
	}
	s, err := c.passive()
	if err != nil || c.tls == nil {
		return s, err
	}
	g := &gather{socket: s}
	return tls.Client(g, c.tls), nil
}

// pipeline sends a command for each of so many files, and waits for as many files to be done with.
func (c *client) pipeline(verb string, files int) (send, wait func() error) {
	send = func() error {
		var commands []byte
		for i := range files {
			commands = append(append(append(append(commands, verb...), ' '), smallName(i)...), '\r', '\n')
		}
		_, err := c.conn.Write(commands)
		return err
	}
	c.in = bufio.NewReaderSize(c.conn, 64<<10)
	wait = func() error {
		for range files {
			code := 0
			for code != 250 {
				line, err := c.in.ReadSlice('\n')
				if err != nil {
					return err
				}
				if code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0'); code > 250 {
					return fmt.Errorf("%s: %s", verb, line)
				}
			}
		}
		return nil
	}
	return send, wait
}

func (c *client) storeBlocks(files int) error {
	if err := c.do(250, "CWD up"); err != nil {
		return err
	}
	d, err := c.block()
	if err != nil {
		return err
	}
	defer d.Close()
	send, wait := c.pipeline("STOR", files)
	var begun sync.WaitGroup
	begun.Add(1)
	return together(2, func(i int) error {
		if i == 1 {
			begun.Wait()
			return wait()
		}
		err := send()
		begun.Done()
		content := random(smallSize)
		var some []byte
		for f := 0; f < files && err == nil; f++ {
			some = append(append(some, 64, smallSize>>8, smallSize&255), content...)
			if len(some) > chunk || f == files-1 {
				_, err = d.Write(some)
				some = some[:0]
			}
		}
		return err
	})
}

func (c *client) fetchBlocks(files int) error {
	if err := c.do(250, "CWD small"); err != nil {
		return err
	}
	d, err := c.block()
	if err != nil {
		return err
	}
	defer d.Close()
	send, wait := c.pipeline("RETR", files)
	return together(3, func(i int) error {
		switch i {
		case 0:
			return send()
		case 1:
			return wait()
		}
		in := bufio.NewReaderSize(d, chunk)
		for left := files; left > 0; {
			head, err := in.Peek(3)
			if err != nil {
				return err
			}
			if head[0]&64 != 0 {
				left--
			}
			if _, err := in.Discard(3 + int(head[1])<<8 + int(head[2])); err != nil {
				return err
			}
		}
		return nil
	})
}
