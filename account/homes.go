package account

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"sampan/fault"
)

// resolve returns dir cleaned, with the links of what exists of it evaluated. It must be absolute (Syntax).
func resolve(dir string) (string, error) {
	if !utf8.ValidString(dir) || strings.ContainsFunc(dir, unicode.IsControl) {
		return "", fault.New(fault.BadName, "%q cannot be the name of a directory here", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fault.Wrap(fault.Local, err, "%s cannot be used as a directory", dir)
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return "", fault.Wrap(fault.Local, err, "%s cannot be used as a directory", dir)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// kept returns how the book in bookDir keeps a home: one that lies below is kept relative to it, with slashes, so that
// they can be moved together. found is the reverse; see also relativeHomes.
func kept(bookDir, home string) string {
	rel, err := filepath.Rel(bookDir, home)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return home
	}
	return filepath.ToSlash(rel)
}

func found(bookDir, kept string) string {
	if filepath.IsAbs(kept) {
		return kept
	}
	return filepath.Join(bookDir, filepath.FromSlash(kept))
}

// holds reports whether inner is outer or lies below it; both are resolved.
func holds(outer, inner string) bool {
	if runtime.GOOS == "darwin" { // the usual file system there ignores case; Rel does so on Windows
		outer, inner = strings.ToLower(outer), strings.ToLower(inner)
	}
	rel, err := filepath.Rel(outer, inner)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func same(a, b string) bool {
	if holds(a, b) && holds(b, a) {
		return true
	}
	ai, err1 := os.Stat(a)
	bi, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(ai, bi)
}

// settle makes dir the home of the account folded: it checks that no other home holds it or lies in it, makes the
// directory, and sets the home's quota: to quota, else to the one that the home has, else to the default. It returns
// the directory as the book keeps it. With fresh the directory must be new or empty.
func (b *Book) settle(ctx context.Context, tx *sql.Tx, folded, dir string, quota *int64, fresh bool) (string, error) {
	if !filepath.IsAbs(dir) {
		return "", fault.New(fault.Syntax, "the home must be an absolute path, not %s", dir)
	}
	dir, err := resolve(dir)
	if err != nil {
		return "", err
	}
	homes, err := resolve(b.o.Homes)
	if err != nil {
		return "", err
	}
	if holds(dir, b.dir) || holds(dir, homes) {
		return "", fault.New(fault.Denied, "%s cannot be a home: it holds the server's own files", dir)
	}
	if dir, err = b.amongOthers(ctx, tx, folded, dir); err != nil {
		return "", err
	}
	if fresh {
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return "", fault.New(fault.Exist, "%s already holds files; name it as the home to give them to this account, or name another", dir)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fault.Wrap(fault.Local, err, "%s cannot be made a home", dir)
	}
	dir = kept(b.dir, dir)
	if quota == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO homes (dir, quota) VALUES ($1, $2) ON CONFLICT DO NOTHING`, dir, b.o.DefaultQuota)
	} else {
		_, err = tx.ExecContext(ctx, `INSERT INTO homes (dir, quota) VALUES ($1, $2) ON CONFLICT (dir) DO UPDATE SET quota = $2`, dir, *quota)
	}
	return dir, err
}

// quotas remembers what homes have, as long as nothing in the book changes: each log-in asks.
type quotas struct {
	mu   sync.Mutex
	asOf uint64 // the Book's version
	m    map[string]int64
}

func (q *quotas) lookup(home string, version uint64) (int64, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	quota, ok := q.m[home]
	return quota, ok && q.asOf == version
}

// add remembers what the book said after it had that version.
func (q *quotas) add(home string, quota int64, version uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.m == nil || q.asOf < version {
		q.m, q.asOf = map[string]int64{}, version
	}
	if q.asOf == version {
		q.m[home] = quota
	}
}

// Quota returns the quota of a home as it is now, given as Account.Home names it. NotExist if nobody has that home.
func (b *Book) Quota(ctx context.Context, home string) (int64, error) {
	version := b.Version()
	quota, ok := b.quotas.lookup(home, version)
	if ok {
		return quota, nil
	}
	err := b.r.QueryRowContext(ctx, `SELECT quota FROM homes WHERE dir = $1`, kept(b.dir, home)).Scan(&quota)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fault.New(fault.NotExist, "no account has the home %s", home)
	}
	if err != nil {
		return 0, bookError(err)
	}
	b.quotas.add(home, quota, version)
	return quota, nil
}

// amongOthers refuses a dir that holds or lies in somebody else's home; one that is somebody's home is returned as
// that one has it.
func (b *Book) amongOthers(ctx context.Context, tx *sql.Tx, folded, dir string) (string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT home, min(name) FROM accounts WHERE folded <> $1 GROUP BY home`, folded)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var other, name string
		if err := rows.Scan(&other, &name); err != nil {
			return "", err
		}
		other = found(b.dir, other)
		switch {
		case same(dir, other):
			return other, nil
		case holds(dir, other):
			return "", fault.New(fault.Denied, "%s cannot be a home: it holds the home of %s", dir, name)
		case holds(other, dir):
			return "", fault.New(fault.Denied, "%s cannot be a home: it lies in the home of %s", dir, name)
		}
	}
	return dir, rows.Err()
}

// dropUnused forgets the homes that no account has; what is in them stays on the disk.
func dropUnused(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM homes WHERE dir NOT IN (SELECT home FROM accounts)`)
	return err
}

func checkQuota(quota *int64) error {
	if quota != nil && *quota < Unlimited {
		return fault.New(fault.Syntax, "a quota is 0 or more bytes, or none")
	}
	return nil
}
