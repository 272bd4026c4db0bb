package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/session"
)

const (
	prefix   = "/api/v1"
	maxBody  = 1 << 20
	readIn   = 10 * time.Second // a body must have come
	usual    = 30 * time.Second // an answer must be there
	counting = 15 * time.Minute // counting a home may take long
	maxLog   = 100_000          // records in one answer
)

// api answers the routes.
type api struct {
	book *account.Book
	hub  *session.Hub
}

// A route is one thing that the API does; run returns what is sent as JSON, nil for nothing.
type route struct {
	pattern string
	within  time.Duration
	run     func(a *api, r *http.Request) (any, error)
}

var routes = []route{
	{"GET /users", counting, (*api).users},
	{"POST /users", usual, (*api).addUser},
	{"GET /users/{name}", counting, (*api).user},
	{"PATCH /users/{name}", usual, (*api).updateUser},
	{"DELETE /users/{name}", usual, (*api).removeUser},
	{"PUT /users/{name}/grants", usual, (*api).grant},
	{"DELETE /users/{name}/grants", usual, (*api).revoke},
	{"GET /users/{name}/keys", usual, (*api).keys},
	{"POST /users/{name}/keys", usual, (*api).addKeys},
	{"DELETE /users/{name}/keys", usual, (*api).removeKey},
	{"POST /users/{name}/quota-check", counting, (*api).quotaCheck},
	{"DELETE /users/{name}/sessions", usual, (*api).kickUser},
	{"GET /requests", usual, (*api).requests},
	{"POST /requests/{name}", usual, (*api).decide},
	{"GET /sessions", usual, (*api).who},
	{"DELETE /sessions/{id}", usual, (*api).kick},
	{"GET /transfers", usual, (*api).log},
}

// Handler serves the API over an open book and hub. Whoever can reach it is an operator: the socket's directory is
// only its owner's.
func Handler(b *account.Book, h *session.Hub) http.Handler {
	a := &api{b, h}
	mux := http.NewServeMux()
	for _, rt := range routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), rt.within)
			defer cancel()
			var out any
			body, err := receive(w, r)
			if err == nil {
				r.Body = io.NopCloser(bytes.NewReader(body))
				out, err = rt.run(a, r.WithContext(ctx))
			}
			answer(w, out, err)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, fault.New(fault.NotExist, "the API has no %s %s", r.Method, r.URL.Path))
	})
	return mux
}

// receive takes a whole body, which must be there soon. The deadline is lifted again: if it passed while the route
// runs, the server would take the client for gone.
func receive(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(readIn)) // in the same process there is no connection, and no need
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = c.SetReadDeadline(time.Time{})
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return nil, fault.Wrap(fault.Syntax, err, "the request is too big")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Cut, err, "the request did not come whole")
	}
	return body, nil
}

func answer(w http.ResponseWriter, out any, err error) {
	status := http.StatusOK
	switch {
	case err != nil:
		status, out = problemOf(err)
	case out == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"kind":"internal","text":"","say":""}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // the reader went away: nobody to tell
}

// read takes the JSON body of a request.
func read[T any](r *http.Request) (in T, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return in, fault.New(fault.Syntax, "the request must be application/json")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err = d.Decode(&in)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return in, nil
		}
		err = errors.New("more than one value")
	}
	return in, fault.Wrap(fault.Syntax, err, "the request cannot be understood: %s", err.Error())
}

func (a *api) users(r *http.Request) (any, error) {
	all, err := a.book.Accounts(r.Context())
	if err != nil {
		return nil, err
	}
	out := make([]User, len(all))
	for i, acc := range all {
		out[i] = a.show(r.Context(), acc)
	}
	return out, nil
}

// show adds the used bytes. Opening the home also brings its quota up to date in a running hub.
func (a *api) show(ctx context.Context, acc account.Account) User {
	used := int64(-1)
	if home, err := a.hub.Home(acc); err == nil {
		if space, err := home.Space(ctx); err == nil {
			used = space.Used
		}
	}
	return userOf(acc, used)
}

func (a *api) user(r *http.Request) (any, error) {
	acc, err := a.book.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return a.show(r.Context(), acc), nil
}

func (a *api) addUser(r *http.Request) (any, error) {
	in, err := read[NewUser](r)
	if err != nil {
		return nil, err
	}
	grants, err := grantsOf(in.Grants)
	if err != nil {
		return nil, err
	}
	acc, err := a.book.Add(r.Context(), account.NewAccount{
		Name: in.Name, Email: in.Email, Password: in.Password, Home: in.Home, Quota: in.Quota, Operator: in.Operator, Grants: grants,
	})
	if err != nil {
		return nil, err
	}
	return a.show(r.Context(), acc), nil
}

func (a *api) updateUser(r *http.Request) (any, error) {
	in, err := read[UserChange](r)
	if err != nil {
		return nil, err
	}
	c := account.Change{
		Email: in.Email, Password: in.Password, Operator: in.Operator, Home: in.Home, Quota: in.Quota, Down: in.Down, Up: in.Up, Lenient: in.Lenient,
	}
	if in.State != nil {
		s, err := account.ParseState(*in.State)
		if err != nil {
			return nil, err
		}
		c.State = &s
	}
	if in.Grants != nil {
		grants, err := grantsOf(*in.Grants)
		if err != nil {
			return nil, err
		}
		c.Grants = &grants
	}
	return a.change(r.Context(), r.PathValue("name"), c)
}

// change updates an account, ends its sessions where they cannot go on, and shows it.
func (a *api) change(ctx context.Context, name string, c account.Change) (any, error) {
	acc, err := a.book.Update(ctx, name, c)
	if err != nil {
		return nil, err
	}
	switch {
	case acc.State == account.Suspended:
		a.hub.KickAccount(acc.Name, fault.New(fault.Stopped, "the account was suspended"))
	case c.Home != nil:
		a.hub.KickAccount(acc.Name, fault.New(fault.Stopped, "the account's home was changed; log in again"))
	}
	return a.show(ctx, acc), nil
}

func (a *api) removeUser(r *http.Request) (any, error) {
	acc, err := a.book.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if err := a.book.Remove(r.Context(), acc.Name); err != nil {
		return nil, err
	}
	a.hub.KickAccount(acc.Name, fault.New(fault.Stopped, "the account was removed"))
	return nil, nil
}

func (a *api) grant(r *http.Request) (any, error) {
	in, err := read[Grant](r)
	if err != nil {
		return nil, err
	}
	g, err := grantOf(in)
	if err != nil {
		return nil, err
	}
	acc, err := a.book.Grant(r.Context(), r.PathValue("name"), g)
	if err != nil {
		return nil, err
	}
	return a.show(r.Context(), acc), nil
}

func (a *api) revoke(r *http.Request) (any, error) {
	g, err := grantOf(Grant{Path: r.URL.Query().Get("path")})
	if err != nil {
		return nil, err
	}
	acc, err := a.book.Revoke(r.Context(), r.PathValue("name"), g.Under)
	if err != nil {
		return nil, err
	}
	return a.show(r.Context(), acc), nil
}

func (a *api) keys(r *http.Request) (any, error) {
	list, err := a.book.Keys(r.Context(), r.PathValue("name"))
	return keysOf(list), err
}

// newKeys is the body of a request that adds keys.
type newKeys struct {
	Keys string `json:"keys"` // as authorized_keys has them
}

func (a *api) addKeys(r *http.Request) (any, error) {
	in, err := read[newKeys](r)
	if err != nil {
		return nil, err
	}
	list, err := a.book.AddKeys(r.Context(), r.PathValue("name"), in.Keys)
	return keysOf(list), err
}

func (a *api) removeKey(r *http.Request) (any, error) {
	k, err := a.book.RemoveKey(r.Context(), r.PathValue("name"), r.URL.Query().Get("key"))
	return keysOf([]account.Key{k})[0], err
}

// quotaAsk is the body of a quota check.
type quotaAsk struct {
	Fix bool `json:"fix"`
}

func (a *api) quotaCheck(r *http.Request) (any, error) {
	in, err := read[quotaAsk](r)
	if err != nil {
		return nil, err
	}
	acc, err := a.book.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	home, err := a.hub.Home(acc)
	if err != nil {
		return nil, err
	}
	recorded, counted, err := home.Check(r.Context(), in.Fix)
	if err != nil {
		return nil, err
	}
	return QuotaReport{acc.Home, acc.Quota, recorded, counted, in.Fix}, nil
}

func (a *api) requests(r *http.Request) (any, error) {
	all, err := a.book.Requests(r.Context())
	if err != nil {
		return nil, err
	}
	out := make([]Request, len(all))
	for i, q := range all {
		out[i] = Request{q.Name, q.Email, q.Note, q.Remote, stamp(q.Asked)}
	}
	return out, nil
}

func (a *api) decide(r *http.Request) (any, error) {
	in, err := read[Decision](r)
	if err != nil {
		return nil, err
	}
	if in.By == "" {
		in.By = "operator"
	}
	acc, err := a.book.Decide(r.Context(), r.PathValue("name"), account.Decision{
		Approve: in.Approve, By: in.By, Note: in.Note, Home: in.Home, Quota: in.Quota,
	})
	if err != nil {
		return nil, err
	}
	if !in.Approve {
		return userOf(acc, 0), nil
	}
	return a.show(r.Context(), acc), nil
}

func (a *api) who(*http.Request) (any, error) {
	live := a.hub.Live()
	out := make([]Session, len(live))
	for i, v := range live {
		out[i] = sessionOf(v)
	}
	return out, nil
}

// ended is the reason that a kicked user is told.
func ended(r *http.Request) error {
	if why := r.URL.Query().Get("reason"); why != "" {
		return fault.New(fault.Stopped, "the operator ended the session: %s", why)
	}
	return fault.New(fault.Stopped, "the operator ended the session")
}

func (a *api) kick(r *http.Request) (any, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || !a.hub.Kick(id, ended(r)) {
		return nil, fault.New(fault.NotExist, "there is no session %s", r.PathValue("id"))
	}
	return nil, nil
}

// kicked is the answer to kickUser.
type kicked struct {
	Sessions int `json:"sessions"`
}

func (a *api) kickUser(r *http.Request) (any, error) {
	acc, err := a.book.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return kicked{a.hub.KickAccount(acc.Name, ended(r))}, nil
}

func (a *api) log(r *http.Request) (any, error) {
	q := r.URL.Query()
	f := account.Filter{Account: q.Get("account")}
	if f.Account != "" {
		// Records of an account that is gone can be had by the name as it was.
		if acc, err := a.book.Get(r.Context(), f.Account); err == nil {
			f.Account = acc.Name
		}
	}
	var err error
	if s := q.Get("since"); s != "" {
		if f.Since, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return nil, fault.New(fault.Syntax, "%q is no time: write it as 2006-01-02T15:04:05Z", s)
		}
	}
	if s := q.Get("limit"); s != "" {
		if f.Limit, err = strconv.Atoi(s); err != nil || f.Limit < 0 || f.Limit > maxLog {
			return nil, fault.New(fault.Syntax, "the limit is a number from 0 to %d, not %s", maxLog, s)
		}
	}
	all, err := a.book.Log(r.Context(), f)
	if err != nil {
		return nil, err
	}
	out := make([]Transfer, len(all))
	for i, t := range all {
		out[i] = transferOf(t)
	}
	return out, nil
}
