package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"sampan/fault"
)

// applicationID marks the file as a book of ours (sqlite.org/fileformat.html, section 1.3.17): "Smpn".
const applicationID = 0x536d706e

// A migration changes a book that lies in dir.
type migration func(ctx context.Context, tx *sql.Tx, dir string) error

// statements is a migration in SQL alone.
func statements(text string) migration {
	return func(ctx context.Context, tx *sql.Tx, _ string) error {
		_, err := tx.ExecContext(ctx, text)
		return err
	}
}

// migrations bring a book from schema version i to i+1. What was released never changes; a new one is added at the
// end. Times are microseconds since 1970 UTC, 0 for never; sizes are bytes, -1 for no limit.
var migrations = []migration{firstSchema, relativeHomes, keys, rates}

var firstSchema = statements(`
	CREATE TABLE homes (
		dir      TEXT PRIMARY KEY,
		quota    BIGINT NOT NULL
	);
	CREATE TABLE accounts (
		folded   TEXT PRIMARY KEY,
		name     TEXT NOT NULL,
		email    TEXT NOT NULL,
		password TEXT NOT NULL,
		state    TEXT NOT NULL,
		operator INTEGER NOT NULL,
		home     TEXT NOT NULL REFERENCES homes(dir),
		lenient  INTEGER NOT NULL,
		created  BIGINT NOT NULL,
		seen     BIGINT NOT NULL
	);
	CREATE INDEX accounts_home ON accounts(home);
	CREATE TABLE grants (
		folded   TEXT NOT NULL REFERENCES accounts(folded) ON DELETE CASCADE,
		under    TEXT NOT NULL,
		perms    TEXT NOT NULL,
		PRIMARY KEY (folded, under)
	);
	CREATE TABLE requests (
		ticket   TEXT PRIMARY KEY, -- SHA-256 of it
		folded   TEXT NOT NULL,
		name     TEXT NOT NULL,
		email    TEXT NOT NULL,
		password TEXT NOT NULL,
		note     TEXT NOT NULL,
		remote   TEXT NOT NULL,
		source   TEXT NOT NULL,    -- what the limit counts by
		asked    BIGINT NOT NULL,
		expires  BIGINT NOT NULL,
		decoy    INTEGER NOT NULL, -- the name was taken: nobody is asked, and it stays pending
		state    TEXT NOT NULL,
		decided  BIGINT NOT NULL,
		decider  TEXT NOT NULL,
		answer   TEXT NOT NULL
	);
	CREATE UNIQUE INDEX requests_open ON requests(folded) WHERE state = 'pending' AND decoy = 0;
	CREATE INDEX requests_source ON requests(source, asked);
	CREATE INDEX requests_expires ON requests(expires);
	CREATE TABLE transfers (
		id       BIGINT PRIMARY KEY,
		ended    BIGINT NOT NULL,
		account  TEXT NOT NULL,
		remote   TEXT NOT NULL,
		proto    TEXT NOT NULL,
		verb     TEXT NOT NULL,
		path     TEXT NOT NULL,
		target   TEXT NOT NULL,
		bytes    BIGINT NOT NULL,
		size     BIGINT NOT NULL,
		took     BIGINT NOT NULL,
		result   TEXT NOT NULL
	);
	CREATE INDEX transfers_account ON transfers(account, id);
	CREATE INDEX transfers_ended ON transfers(ended);
`)

var rates = statements(`
	ALTER TABLE accounts ADD COLUMN down BIGINT NOT NULL DEFAULT -1; -- bytes a second
	ALTER TABLE accounts ADD COLUMN up BIGINT NOT NULL DEFAULT -1;
`)

// relativeHomes makes homes below the book's directory relative to it; see kept.
func relativeHomes(ctx context.Context, tx *sql.Tx, dir string) error {
	rows, err := tx.QueryContext(ctx, `SELECT dir FROM homes`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var homes []string
	for rows.Next() {
		var home string
		if err := rows.Scan(&home); err != nil {
			return err
		}
		if kept(dir, home) != home {
			homes = append(homes, home)
		}
	}
	if err := rows.Err(); err != nil || len(homes) == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, `PRAGMA defer_foreign_keys = on`); err != nil {
		return err
	}
	for _, home := range homes {
		_, err := tx.ExecContext(ctx, `UPDATE homes SET dir = $2 WHERE dir = $1; UPDATE accounts SET home = $2 WHERE home = $1`,
			home, kept(dir, home))
		if err != nil {
			return err
		}
	}
	return nil
}

// openPool opens connections to the file; every one of them has the same pragmas.
func openPool(path string, conns int, writer bool) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slash := filepath.ToSlash(abs)
	if !strings.HasPrefix(slash, "/") {
		slash = "/" + slash
	}
	q := url.Values{"_pragma": {"busy_timeout(5000)", "foreign_keys(1)"}}
	if writer {
		q.Set("_txlock", "immediate")
		q["_pragma"] = append(q["_pragma"], "synchronous(full)")
	} else {
		q["_pragma"] = append(q["_pragma"], "query_only(1)")
	}
	u := url.URL{Scheme: "file", Path: slash, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// migrate brings the book, which lies in dir, to the newest schema. An existing one is copied first.
func migrate(ctx context.Context, db *sql.DB, path, dir string, steps []migration) error {
	var id, version, tables int
	err := errors.Join(
		db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id),
		db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version),
		db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables))
	switch {
	case err != nil:
		return openError(err, path)
	case id != applicationID && (id != 0 || version != 0 || tables != 0):
		return fault.New(fault.Unsupported, "%s is not a book of Sampan's; name another data directory", path)
	case version > len(steps):
		return fault.New(fault.Unsupported,
			"%s was written by a newer Sampan (schema %d, this one knows %d); use that one, or a copy from before", path, version, len(steps))
	case version == len(steps):
		return nil
	}
	if version > 0 {
		if err := backup(ctx, db, fmt.Sprintf("%s.before-v%d", path, len(steps))); err != nil {
			return fault.Wrap(fault.Local, err, "%s cannot be copied before it is brought up to date; is the disk full?", path)
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return openError(err, path)
	}
	defer tx.Rollback()
	for _, step := range steps[version:] {
		if err := step(ctx, tx, dir); err != nil {
			return fault.Wrap(fault.Local, err, "%s cannot be brought up to date; it was left as it is", path)
		}
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = %d`, applicationID, len(steps)))
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fault.Wrap(fault.Local, err, "%s cannot be brought up to date; it was left as it is", path)
	}
	return nil
}

// backup copies the open database to a file that is complete if it is there.
func backup(ctx context.Context, db *sql.DB, to string) error {
	tmp := to + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) // VACUUM INTO takes an empty file
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO $1`, tmp)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

// openError tells what is wrong with a book that does not open.
func openError(err error, path string) error {
	var se *sqlite.Error
	if errors.As(err, &se) {
		switch se.Code() & 0xff {
		case 11, 26: // SQLITE_CORRUPT, SQLITE_NOTADB
			return fault.Wrap(fault.Local, err, "%s is damaged or not a book; put a copy from before in its place", path)
		case 5, 6: // SQLITE_BUSY, SQLITE_LOCKED
			return fault.Wrap(fault.Busy, err, "%s is in use by another program", path)
		}
	}
	return fault.Wrap(fault.Local, err, "%s cannot be opened", path)
}
