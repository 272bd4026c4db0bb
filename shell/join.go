package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"sampan/client"
	"sampan/fault"
	"sampan/words"
)

// JoinOptions are the flags of join.
type JoinOptions struct {
	Name   string // asked for if empty
	Email  string
	Status bool // only ask how a request stands
}

// Join asks a server for an account, waits for the operator, and opens the shell once it is given. It deals with ^C
// itself and tells about failures. Denied is a refusal, context.Canceled a person who does not wait.
func Join(ctx context.Context, e *Env, o Options, url string, j JoinOptions) error {
	t := &task{Env: e, Options: o, lines: newLines()}
	defer t.lines.close()
	var err error
	if j.Status {
		err = t.joinStatus(ctx, url, j)
	} else {
		err = t.join(ctx, url, j)
	}
	if err != nil {
		t.fail(err)
	}
	return err
}

func (t *task) join(ctx context.Context, url string, j JoinOptions) error {
	u, err := t.server(ctx, url, false)
	if err != nil {
		return err
	}
	name := j.Name
	if name == "" {
		name = u.User
	}
	u.User, u.Pass = "", ""
	if err := breakable(ctx, func(ctx context.Context) error {
		if err := client.Knock(ctx, u, t.joining()); err != nil {
			return err
		}
		return ctx.Err()
	}); err != nil {
		return err
	}
	r, st, password, err := t.apply(ctx, u, name, j.Email)
	if err != nil {
		return err
	}
	return t.decided(ctx, u, r, st, password)
}

// joining are the options until the account is there: a pin counts for what comes later, too.
func (t *task) joining() client.Options {
	o := t.clientOptions()
	o.Keep = true
	return o
}

// apply asks for the name, unless it is given, and the password, makes the request and awaits the answer. A person whose
// name or password cannot be is asked again. From the request to the answer no ^C may get lost.
func (t *task) apply(ctx context.Context, u client.URL, given, email string) (r request, st client.Standing, password string, err error) {
	preset := t.Getenv("SAMPAN_PASSWORD")
	for {
		name := given
		for name == "" {
			if name, err = t.ask(ctx, words.M("The name that you want:"), false); err != nil {
				return r, st, "", ended(err)
			}
		}
		if password = preset; password == "" {
			if password, err = t.newPassword(ctx, words.M("A password for it:")); err != nil {
				return r, st, "", err
			}
		}
		r = request{Server: login(u), Name: name}
		err = breakable(ctx, func(ctx context.Context) (err error) {
			if err = t.register(ctx, u, &r, email, password); err == nil {
				st, err = t.await(ctx, u, r)
			}
			return err
		})
		kind := fault.KindOf(err)
		if r.Ticket != "" || kind != fault.BadName && kind != fault.Syntax || given != "" && preset != "" || !t.interactive() {
			return r, st, password, err
		}
		t.fail(err)
		given, preset = "", "" // the one that cannot be may be either
	}
}

// register asks for the account and keeps the ticket.
func (t *task) register(ctx context.Context, u client.URL, r *request, email, password string) error {
	ticket, err := client.Register(ctx, u, t.joining(), r.Name, email, password)
	if err != nil {
		return err
	}
	r.Ticket, r.Asked = ticket, time.Now().UTC().Truncate(time.Second)
	if err := t.update(func(s *state) {
		s.settle(r.Server, r.Name)
		s.Requests = append(s.Requests, *r)
		s.Last = r.Server
	}); err != nil {
		t.warn(fault.Say(err))
	}
	t.happened("asked", *r, words.M("The request is made. The operator of %s decides.", u.Host))
	return nil
}

// joinStatus asks how a request stands that an earlier join made.
func (t *task) joinStatus(ctx context.Context, url string, j JoinOptions) error {
	s, err := t.load()
	if err != nil {
		return err
	}
	server := ""
	if url != "" {
		u, err := client.ParseURL(url)
		if err != nil {
			return err
		}
		if j.Name == "" {
			j.Name = u.User
		}
		u.User, u.Pass = "", ""
		server = login(u)
	}
	for i := len(s.Requests) - 1; i >= 0; i-- {
		r := s.Requests[i]
		if (server == "" || r.Server == server) && (j.Name == "" || r.Name == j.Name) {
			return t.standing(ctx, r)
		}
	}
	return fault.New(fault.NotExist, "no request is waiting here; make one with: sampan join URL")
}

// standing asks once.
func (t *task) standing(ctx context.Context, r request) error {
	u, err := client.ParseURL(r.Server)
	if err != nil {
		return err
	}
	var st client.Standing
	if err := breakable(ctx, func(ctx context.Context) (err error) {
		st, err = client.Answer(ctx, u, t.clientOptions(), r.Ticket)
		return err
	}); err != nil {
		return err
	}
	if st.State == client.Pending {
		t.happened("pending", r, words.M("%s at %s: the operator has not decided yet", r.Name, u.Host))
		return nil
	}
	return t.decided(ctx, u, r, st, "")
}

// await asks until the operator has decided.
func (t *task) await(ctx context.Context, u client.URL, r request) (client.Standing, error) {
	stop := t.spin(ctx, words.M("waiting for the operator (^C leaves; the request stays)"))
	defer stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for wait := time.Second; ; wait = min(wait+wait/4, 5*time.Second) {
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		st, err := client.Answer(ctx, u, t.clientOptions(), r.Ticket)
		switch kind := fault.KindOf(err); {
		case ctx.Err() != nil:
			stop()
			t.warn(words.M("The request stays. Ask how it stands with: %s", "sampan join --status "+r.Server))
			return st, saidError{ctx.Err()}
		case err == nil && st.State != client.Pending:
			return st, nil
		case err != nil && kind != fault.Unreachable && kind != fault.Cut && kind != fault.TooMany && kind != fault.Busy:
			return st, err
		}
		pause.Reset(wait)
	}
}

// decided tells the operator's decision; an account that was given is opened.
func (t *task) decided(ctx context.Context, u client.URL, r request, st client.Standing, password string) error {
	if err := t.update(func(s *state) { s.settle(r.Server, r.Name) }); err != nil {
		t.warn(fault.Say(err))
	}
	note := strings.TrimSpace(st.Note)
	if st.State == client.Refused {
		if note == "" {
			return fault.New(fault.Denied, "the operator refused the request")
		}
		return fault.New(fault.Denied, "the operator refused the request and says: %s", note)
	}
	m := words.M("Welcome, %s: the operator gave you the account.", r.Name)
	if note != "" {
		m = words.M("Welcome, %s: the operator gave you the account and says: %s", r.Name, note)
	}
	t.happened("approved", r, m)
	u.User = r.Name
	if password == "" && !t.interactive() {
		return nil
	}
	if password != "" {
		t.lines.passwords[login(u)] = password
	}
	return t.session(ctx, u)
}

// happened tells a step of a registration.
func (t *task) happened(event string, r request, m words.Message) {
	if t.JSON {
		t.event(map[string]any{"event": event, "server": r.Server, "name": r.Name, "message": t.text(m)})
		return
	}
	t.sayTo(t.Out, m)
}

// spin turns a wheel on a terminal until stop is called; elsewhere it says m once.
func (t *task) spin(ctx context.Context, m words.Message) (stop func()) {
	if _, tty := terminal(t.Err); !tty {
		t.remark(m)
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	line := words.Cut(t.text(m), columns(t.Err)-4)
	go func() {
		defer close(done)
		tick := time.NewTicker(120 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			fmt.Fprintf(t.Err, "\r\x1b[K%c %s", `|/-\`[i%4], line)
			select {
			case <-tick.C:
			case <-ctx.Done():
				fmt.Fprint(t.Err, "\r\x1b[K")
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// server is the server that a person means: what was said, else asked for with the last one, or the last log-in, as the
// answer of Enter.
func (t *task) server(ctx context.Context, said string, login bool) (client.URL, error) {
	for {
		if said == "" {
			s, err := t.load()
			if err != nil {
				t.warn(fault.Say(err))
			}
			if u, err := client.ParseURL(s.Last); err == nil && !login {
				u.User = ""
				s.Last = u.String()
			}
			q := words.M("Server, as in ftp://host or just its name:")
			if s.Last != "" {
				q = words.M("Server (Enter is %s):", s.Last)
			}
			if said, err = t.ask(ctx, q, false); err != nil {
				return client.URL{}, ended(err)
			}
			if said == "" {
				said = s.Last
			}
			if said == "" {
				continue
			}
		}
		if !isURL(said) {
			said = "ftp://" + said
		}
		u, err := client.ParseURL(said)
		if err == nil || !t.interactive() {
			return u, err
		}
		t.fail(err)
		said = ""
	}
}

// Menu is what starts without a command: log in, register, or quit. It deals with ^C itself and tells about failures.
func Menu(ctx context.Context, e *Env, o Options) error {
	t := &task{Env: e, Options: o, lines: newLines(), menu: true}
	defer t.lines.close()
	for {
		fmt.Fprintln(t.Out)
		t.say(words.M("  1  log in"))
		t.say(words.M("  2  register: ask for an account"))
		t.say(words.M("  Q  quit"))
		choice, err := t.ask(ctx, words.M("1, 2 or Q:"), false)
		if err == nil {
			err = t.choose(ctx, choice)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, errQuit):
			return nil
		case ctx.Err() != nil, errors.Is(err, context.Canceled) && choice == "":
			return err
		default:
			t.fail(err)
			if !t.interactive() {
				return err
			}
		}
		t.lines.close()
		t.at, t.prompt = nil, nil
	}
}

func (t *task) choose(ctx context.Context, choice string) error {
	switch strings.ToLower(choice) {
	case "1":
		return t.logIn(ctx)
	case "2":
		return t.join(ctx, "", JoinOptions{})
	case "q", "quit", "exit":
		return errQuit
	}
	return fault.New(fault.Syntax, "press 1, 2 or Q, then Enter")
}

// logIn asks where and as whom, and runs the shell.
func (t *task) logIn(ctx context.Context) error {
	u, err := t.server(ctx, "", true)
	if err != nil {
		return err
	}
	if u.User == "" {
		name, err := t.ask(ctx, words.M("Name (Enter is anonymous):"), false)
		if err != nil {
			return ended(err)
		}
		u.User = name
	}
	return t.session(ctx, u)
}
