package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/admin"
	"sampan/fault"
	"sampan/sftpd"
	"sampan/words"
)

const (
	demoFile  = 200 << 20
	demoQuota = 300 << 20
	demoMore  = 150 << 20 // does not fit beside demoFile
)

func demoCommand(e *env) command {
	return command{
		name: "demo", group: otherGroup, short: words.M("play the whole story on this machine, and say what it proves"),
		run: func(ctx context.Context, _ []string) error { return playDemo(ctx, e) },
	}
}

// demo is the story played with real processes: a server, and clients of it, all of this program.
type demo struct {
	*env
	dir, data string
	url, pin  string
	sftp      string // the same home over SFTP
	server    *exec.Cmd
	api       *admin.Client
	part      int64 // bytes that the cut left
	proofs    []words.Message
}

// playDemo plays the acts, each of which fails unless it proves what it says.
func playDemo(ctx context.Context, e *env) error {
	dir, err := os.MkdirTemp("", "sampan-demo-")
	if err != nil {
		return fault.Wrap(fault.Local, err, "%s cannot be made", os.TempDir())
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	d := &demo{env: e, dir: dir, data: filepath.Join(dir, "data")}
	defer d.stop()
	for _, act := range []func(context.Context) error{d.serve, d.join, d.cut, d.resume, d.fetch, d.overSFTP, d.overfill} {
		if err := act(ctx); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	fmt.Fprintln(e.out)
	e.say(words.M("Proved in %.1f s:", time.Since(began).Seconds()))
	for _, p := range d.proofs {
		fmt.Fprintln(e.out, "  ✓ "+e.text(p))
	}
	return nil
}

// act names what comes next.
func (d *demo) act(m words.Message) { fmt.Fprintf(d.out, "\n== %s\n", d.text(m)) }

// prove notes what holds, or fails.
func (d *demo) prove(holds bool, m words.Message) error {
	if !holds {
		return fault.New(fault.Mismatch, "this does not hold: %s", m)
	}
	d.proofs = append(d.proofs, m)
	return nil
}

// program is this program with other arguments. What it says is seen, unless the caller redirects it.
func (d *demo) program(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fault.Wrap(fault.Local, err, "this program does not find itself")
	}
	lang := map[words.Lang]string{words.English: "en", words.Chinese: "zh"}[d.lang]
	c := exec.CommandContext(ctx, self, append(args, "--lang", lang)...)
	c.Args[0], c.Dir = os.Args[0], d.dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SAMPAN_") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, "SAMPAN_DATA="+d.data, "SAMPAN_PASSWORD=a demonstration", "XDG_STATE_HOME="+filepath.Join(d.dir, "state"))
	c.Stdout, c.Stderr = d.out, d.err
	return c, nil
}

// client runs a command that connects and returns its exit code.
func (d *demo) client(ctx context.Context, args ...string) (int, error) {
	c, err := d.program(ctx, append(args, "--pin", d.pin)...)
	if err != nil {
		return 0, err
	}
	fmt.Fprintln(d.out, "$ sampan "+strings.Join(args, " "))
	err = c.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	return 0, err
}

// serve starts the server.
func (d *demo) serve(ctx context.Context) error {
	d.act(words.M("A server starts, with nothing to set up"))
	c, err := d.program(ctx, "serve", "--ftp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	log := new(bytes.Buffer)
	c.Stdout, c.Stderr = io.Discard, log
	if err := c.Start(); err != nil {
		return fault.Wrap(fault.Local, err, "the server does not start")
	}
	d.server = c
	var where map[string]string
	err = d.until(ctx, func() (bool, error) {
		b, err := os.ReadFile(filepath.Join(d.data, addressesFile))
		return err == nil && json.Unmarshal(b, &where) == nil, nil
	})
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(d.data, "tls", "cert.pem"), filepath.Join(d.data, "tls", "key.pem"))
	if err != nil {
		return fault.Wrap(fault.Local, err, "the certificate cannot be made")
	}
	var certs certificates
	certs.now.Store(&pair)
	d.pin, d.url = certs.pin(), "ftp://alice@"+where["ftp"]+"/"
	d.sftp = "sftp://alice@" + where["sftp"] + "/"
	d.api = admin.NewClient(socketPath(d.data))
	d.say(words.M("It listens on %s, and for SFTP on %s; its certificate is %s", where["ftp"], where["sftp"], d.pin))
	return nil
}

// stop ends the server, whose DATA is thrown away.
func (d *demo) stop() {
	if d.server != nil {
		_ = d.server.Process.Kill()
		_ = d.server.Wait()
	}
}

// until waits for something that has to happen soon.
func (d *demo) until(ctx context.Context, happened func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := happened(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fault.Wrap(fault.GaveUp, ctx.Err(), "what the demo waits for does not happen")
		}
	}
}

// join: alice asks for an account and waits; the operator allows it.
func (d *demo) join(ctx context.Context) error {
	d.act(words.M("Alice asks for an account, and the operator gives it with a quota of %s", size(demoQuota).String()))
	asks, err := d.program(ctx, "join", strings.Replace(d.url, "alice@", "", 1), "--name", "alice", "--pin", d.pin)
	if err != nil {
		return err
	}
	asks.Stdin = strings.NewReader("quota\nquit\n")
	if err := asks.Start(); err != nil {
		return fault.Wrap(fault.Local, err, "this program does not find itself")
	}
	defer func() { _ = asks.Process.Kill() }() // it has ended if all went well
	err = d.until(ctx, func() (bool, error) {
		list, err := d.api.Requests(ctx)
		return len(list) > 0, err
	})
	if err != nil {
		return err
	}
	early, err := d.program(ctx, "ls", d.url, "--pin", d.pin)
	if err != nil {
		return err
	}
	early.Stdout, early.Stderr = io.Discard, io.Discard // alice's own client waits on the terminal
	_ = early.Run()
	if err := d.prove(early.ProcessState.ExitCode() == exitLogin, words.M("who asks for an account does not come in before the operator allows it")); err != nil {
		return err
	}
	approves, err := d.program(ctx, "approve", "alice", "--quota", size(demoQuota).String(), "--note", "welcome aboard")
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out, "$ sampan approve alice --quota "+size(demoQuota).String())
	if err := errors.Join(approves.Run(), asks.Wait()); err != nil {
		return fault.Wrap(fault.Mismatch, err, "this does not hold: %s", words.M("alice comes in once she is approved"))
	}
	return d.prove(true, words.M("alice comes in once she is approved"))
}

// cut: her client is killed in the middle of an upload.
func (d *demo) cut(ctx context.Context) error {
	d.act(words.M("She uploads %s, and her client is killed at a random place", words.Bytes(demoFile)))
	if err := randomFile(filepath.Join(d.dir, "big"), demoFile); err != nil {
		return err
	}
	c, err := d.program(ctx, "put", "big", d.url+"big", "--pin", d.pin)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out, "$ sampan put big "+d.url+"big")
	if err := c.Start(); err != nil {
		return fault.Wrap(fault.Local, err, "this program does not find itself")
	}
	place := demoFile/10 + rand.Int64N(demoFile/2)
	err = d.until(ctx, func() (bool, error) {
		done, err := d.moving(ctx)
		return done >= place, err
	})
	_ = c.Process.Kill()
	_ = c.Wait()
	fmt.Fprintln(d.err)
	if err != nil {
		return err
	}
	err = d.until(ctx, func() (bool, error) { // the server notices and parks what came
		done, err := d.moving(ctx)
		return done < 0, err
	})
	if err != nil {
		return err
	}
	last, err := d.last(ctx)
	if err != nil {
		return err
	}
	d.part = last.Bytes
	d.say(words.M("Killed. The server has %d of %d bytes.", d.part, int64(demoFile)))
	code, err := d.client(ctx, "get", d.url+"big", "half")
	if err != nil {
		return err
	}
	return d.prove(last.Result == "cut" && code == exitNotFound && d.part < demoFile, words.M("an upload that was cut is nobody's file: there is no half file to be read"))
}

// moving is how far the upload is, -1 if there is none.
func (d *demo) moving(ctx context.Context) (int64, error) {
	list, err := d.api.Who(ctx)
	for _, s := range list {
		if s.Doing != nil {
			return s.Doing.Done, err
		}
	}
	return -1, err
}

// last is the newest transfer record.
func (d *demo) last(ctx context.Context) (admin.Transfer, error) {
	list, err := d.api.Log(ctx, admin.Filter{Account: "alice", Limit: 1})
	if err != nil || len(list) == 0 {
		return admin.Transfer{}, errors.Join(err, fault.New(fault.Mismatch, "this does not hold: %s", words.M("every transfer is recorded")))
	}
	return list[0], nil
}

// resume: the same command again sends only what is missing.
func (d *demo) resume(ctx context.Context) error {
	d.act(words.M("The same command again goes on where it was cut"))
	code, err := d.client(ctx, "put", "big", d.url+"big")
	if err != nil {
		return err
	}
	last, err := d.last(ctx)
	if err != nil {
		return err
	}
	if err := d.prove(code == exitOK && last.Result == "ok" && last.Bytes == demoFile-d.part,
		words.M("the upload went on behind the %d bytes whose SHA-256 was compared: %d bytes were sent", d.part, last.Bytes)); err != nil {
		return err
	}
	return d.same(filepath.Join(d.data, homesDir, "alice", "big"), words.M("the file on the server's disk is the source, byte for byte"))
}

// fetch: it comes back as it went.
func (d *demo) fetch(ctx context.Context) error {
	d.act(words.M("She downloads it again"))
	if code, err := d.client(ctx, "get", d.url+"big", "back"); err != nil || code != exitOK {
		return errors.Join(err, fault.New(fault.Mismatch, "this does not hold: %s", words.M("what comes back is the source, byte for byte")))
	}
	return d.same(filepath.Join(d.dir, "back"), words.M("what comes back is the source, byte for byte"))
}

// overSFTP: what came over FTP is there over SFTP. Keys and settings of whoever plays the demo stay out of it.
func (d *demo) overSFTP(ctx context.Context) error {
	d.act(words.M("She downloads it over SFTP too: the account, the home and the quota are the same"))
	keys, err := sftpd.HostKeys(filepath.Join(d.data, sshDir))
	if err != nil {
		return err
	}
	c, err := d.program(ctx, "get", d.sftp+"big", "back2", "--pin", ssh.FingerprintSHA256(keys[0].PublicKey()))
	if err != nil {
		return err
	}
	c.Env = append(c.Env, "HOME="+d.dir, "SSH_AUTH_SOCK=")
	fmt.Fprintln(d.out, "$ sampan get "+d.sftp+"big back2")
	if err := c.Run(); err != nil {
		return fault.Wrap(fault.Mismatch, err, "this does not hold: %s", words.M("over SFTP it is the same file, byte for byte"))
	}
	return d.same(filepath.Join(d.dir, "back2"), words.M("over SFTP it is the same file, byte for byte"))
}

// same proves that a file is the source.
func (d *demo) same(file string, m words.Message) error {
	a, err := sumFile(filepath.Join(d.dir, "big"))
	if err != nil {
		return err
	}
	b, err := sumFile(file)
	if err != nil {
		return err
	}
	return d.prove(a == b, m)
}

// overfill: what would pass the quota is refused.
func (d *demo) overfill(ctx context.Context) error {
	d.act(words.M("She uploads %s more, over her quota of %s", words.Bytes(demoMore), size(demoQuota).String()))
	if err := randomFile(filepath.Join(d.dir, "more"), demoMore); err != nil {
		return err
	}
	code, err := d.client(ctx, "put", "more", d.url+"more")
	if err != nil {
		return err
	}
	used, err := sizeOf(filepath.Join(d.data, homesDir, "alice"))
	if err != nil {
		return err
	}
	if err := d.prove(code == exitSpace && used <= demoQuota, words.M("what would pass the quota is refused: %d of %d bytes are on the disk", used, int64(demoQuota))); err != nil {
		return err
	}
	return d.same(filepath.Join(d.data, homesDir, "alice", "big"), words.M("the refusal left the other file as it was"))
}

// randomFile makes a file that nothing can compress or guess.
func randomFile(name string, n int64) error {
	f, err := os.Create(name)
	if err == nil {
		_, err = io.CopyN(f, rand.NewChaCha8([32]byte{byte(n), byte(time.Now().UnixNano())}), n)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fault.Wrap(fault.Local, err, "%s cannot be written", name)
	}
	return nil
}

func sumFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fault.Wrap(fault.Local, err, "%s cannot be read", name)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fault.Wrap(fault.Local, err, "%s cannot be read", name)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sizeOf adds up what counts in a home's quota: files, stages and parts, and not what Sampan notes for itself.
func sizeOf(home string) (total int64, err error) {
	err = filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Dir(path) == filepath.Join(home, ".sampan") {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fault.Wrap(fault.Local, err, "%s cannot be read", home)
	}
	return total, nil
}
