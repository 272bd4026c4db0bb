package session

import (
	"context"
	"sync"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// A login is an account that was let in, kept as the Book says now: sessions share it with the transfers they began.
type login struct {
	hub   *Hub
	name  string
	guest *guest

	mu      sync.Mutex
	version uint64 // of the Book when acct was read
	acct    account.Account
	store   *files.Local
}

// take makes a the account of l and opens its home. Why that fails names the server's directories: it is for the log.
func (l *login) take(a account.Account) error {
	home, err := l.hub.Home(a)
	if err != nil && fault.KindOf(err) != fault.Stopped {
		err = fault.Wrap(fault.Internal, err, "your home cannot be opened just now; the server's log says why")
	}
	if err != nil {
		return err
	}
	l.acct, l.store = a, home.As(a.Name)
	return nil
}

// now returns the account and its Store, read again if the Book changed; Unauth if the account is not let in any more.
func (l *login) now(ctx context.Context) (account.Account, *files.Local, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Until nothing changed between the reading and the setting of the home's quota: of two sessions that read
	// different versions, the one with the older would else have the last word.
	for v := l.hub.book.Version(); v != l.version; v = l.hub.book.Version() {
		a, err := l.hub.book.Get(ctx, l.name)
		switch {
		case fault.KindOf(err) == fault.NotExist:
			return account.Account{}, nil, fault.New(fault.Unauth, "the account is no longer there")
		case err != nil:
			return account.Account{}, nil, err
		case !a.Created.Equal(l.acct.Created):
			return account.Account{}, nil, fault.New(fault.Unauth, "the account is no longer there")
		case a.State != account.Active:
			return account.Account{}, nil, fault.New(fault.Unauth, "the account is suspended")
		}
		if err := l.take(a); err != nil {
			return account.Account{}, nil, err
		}
		l.version = v
	}
	return l.acct, l.store, nil
}
