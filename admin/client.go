package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"sampan/account"
	"sampan/fault"
)

// Client speaks the API. Its errors are *fault.Error as the server sent them: kind and sentence survive the wire.
type Client struct{ http *http.Client }

// NewClient returns a Client that speaks to the server listening on a unix socket.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 5 * time.Second}
		return d.DialContext(ctx, "unix", socket)
	}
	return newClient(&http.Transport{DialContext: dial, DisableKeepAlives: true})
}

// InProcess returns a Client that calls h directly.
func InProcess(h http.Handler) *Client { return newClient(direct{h}) }

func newClient(t http.RoundTripper) *Client {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{&http.Client{Transport: t, CheckRedirect: stay}}
}

// direct is a RoundTripper that calls a handler.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	d.h.ServeHTTP(w, r)
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Request: r,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}, nil
}

type recorder struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.wrote = true
	return w.body.Write(p)
}

// call sends one request with in as its body, unless nil, and reads the answer into out, unless nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "something went wrong inside; the log says what")
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://sampan"+prefix+path, body)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "something went wrong inside; the log says what")
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return ctx.Err()
		}
		return fault.Wrap(fault.Unreachable, err, "the server does not answer on its operator's socket")
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		var p problem
		if err = json.Unmarshal(text, &p); err == nil && p.Text != "" {
			return p.fault()
		}
		return fault.New(fault.Internal, "the server's answer cannot be understood: %s", res.Status)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the server's answer cannot be understood: %s", err.Error())
	}
	return nil
}

// under returns the path of an account or a request, and below it.
func under(what, name, below string) (string, error) {
	name, err := account.CheckName(name)
	return "/" + what + "/" + url.PathEscape(name) + below, err
}

// absolute makes a directory absolute here, since the server stands in another one. Empty stays empty.
func absolute(dir *string) error {
	if *dir == "" {
		return nil
	}
	abs, err := filepath.Abs(*dir)
	if err != nil {
		return fault.Wrap(fault.Local, err, "%s cannot be used as a directory", *dir)
	}
	*dir = abs
	return nil
}

// Users lists the accounts by name.
func (c *Client) Users(ctx context.Context) (out []User, err error) {
	return out, c.call(ctx, "GET", "/users", nil, &out)
}

// User returns one account. NotExist.
func (c *Client) User(ctx context.Context, name string) (out User, err error) {
	path, err := under("users", name, "")
	if err != nil {
		return out, err
	}
	return out, c.call(ctx, "GET", path, nil, &out)
}

// AddUser creates an account; see account.Book.Add. A relative home is taken from the working directory.
func (c *Client) AddUser(ctx context.Context, n NewUser) (out User, err error) {
	if err := absolute(&n.Home); err != nil {
		return out, err
	}
	return out, c.call(ctx, "POST", "/users", n, &out)
}

// UpdateUser changes an account; see account.Book.Update.
func (c *Client) UpdateUser(ctx context.Context, name string, ch UserChange) (out User, err error) {
	path, err := under("users", name, "")
	if err != nil {
		return out, err
	}
	if ch.Home != nil {
		home := *ch.Home
		if err := absolute(&home); err != nil {
			return out, err
		}
		ch.Home = &home
	}
	return out, c.call(ctx, "PATCH", path, ch, &out)
}

// RemoveUser deletes an account and ends its sessions; its home stays on the disk.
func (c *Client) RemoveUser(ctx context.Context, name string) error {
	path, err := under("users", name, "")
	if err != nil {
		return err
	}
	return c.call(ctx, "DELETE", path, nil, nil)
}

// Grant sets what an account may do at a path and below.
func (c *Client) Grant(ctx context.Context, name string, g Grant) (out User, err error) {
	path, err := under("users", name, "/grants")
	if err != nil {
		return out, err
	}
	return out, c.call(ctx, "PUT", path, g, &out)
}

// Revoke takes the grant at exactly this path away. NotExist if there is none.
func (c *Client) Revoke(ctx context.Context, name, at string) (out User, err error) {
	path, err := under("users", name, "/grants")
	if err != nil {
		return out, err
	}
	return out, c.call(ctx, "DELETE", path+"?path="+url.QueryEscape(at), nil, &out)
}

// Keys lists the public keys of an account, oldest first.
func (c *Client) Keys(ctx context.Context, name string) (out []Key, err error) {
	path, err := under("users", name, "/keys")
	if err != nil {
		return nil, err
	}
	return out, c.call(ctx, "GET", path, nil, &out)
}

// AddKeys gives an account public keys in the format of authorized_keys; see account.Book.AddKeys.
func (c *Client) AddKeys(ctx context.Context, name, keys string) (out []Key, err error) {
	path, err := under("users", name, "/keys")
	if err != nil {
		return nil, err
	}
	return out, c.call(ctx, "POST", path, newKeys{keys}, &out)
}

// RemoveKey takes a public key away, by its fingerprint or its comment. NotExist.
func (c *Client) RemoveKey(ctx context.Context, name, which string) (out Key, err error) {
	path, err := under("users", name, "/keys")
	if err != nil {
		return out, err
	}
	return out, c.call(ctx, "DELETE", path+"?key="+url.QueryEscape(which), nil, &out)
}

// Requests lists what is undecided, oldest first.
func (c *Client) Requests(ctx context.Context) (out []Request, err error) {
	return out, c.call(ctx, "GET", "/requests", nil, &out)
}

// Decide answers a request; see account.Book.Decide.
func (c *Client) Decide(ctx context.Context, name string, d Decision) (out User, err error) {
	path, err := under("requests", name, "")
	if err != nil {
		return out, err
	}
	if err := absolute(&d.Home); err != nil {
		return out, err
	}
	return out, c.call(ctx, "POST", path, d, &out)
}

// QuotaCheck counts the account's home on the disk and compares; with fix the ledger is set to what was counted.
func (c *Client) QuotaCheck(ctx context.Context, name string, fix bool) (out QuotaReport, err error) {
	path, err := under("users", name, "/quota-check")
	if err != nil {
		return out, err
	}
	return out, c.call(ctx, "POST", path, quotaAsk{fix}, &out)
}

// Who lists the live sessions, oldest first.
func (c *Client) Who(ctx context.Context) (out []Session, err error) {
	return out, c.call(ctx, "GET", "/sessions", nil, &out)
}

// Kick ends a session for a reason, which may be empty. NotExist.
func (c *Client) Kick(ctx context.Context, id int64, reason string) error {
	return c.call(ctx, "DELETE", "/sessions/"+strconv.FormatInt(id, 10)+"?reason="+url.QueryEscape(reason), nil, nil)
}

// KickUser ends all sessions of an account and returns how many there were. NotExist if there is no such account.
func (c *Client) KickUser(ctx context.Context, name, reason string) (int, error) {
	path, err := under("users", name, "/sessions")
	if err != nil {
		return 0, err
	}
	var out kicked
	err = c.call(ctx, "DELETE", path+"?reason="+url.QueryEscape(reason), nil, &out)
	return out.Sessions, err
}

// Log returns transfer records, newest first.
func (c *Client) Log(ctx context.Context, f Filter) (out []Transfer, err error) {
	q := url.Values{}
	if f.Account != "" {
		q.Set("account", f.Account)
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return out, c.call(ctx, "GET", "/transfers?"+q.Encode(), nil, &out)
}
