package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"sampan/account"
	"sampan/fault"
)

// operatorName is the name of the first operator.
const operatorName = "operator"

// firstOperator creates the operator of a book that has none. It returns the password where a new one was made that
// the caller has to show; where nobody is there to read it (terminal is false) it goes to a file in DATA instead.
func firstOperator(ctx context.Context, d *data, preset string, terminal bool, log *slog.Logger) (password string, err error) {
	all, err := d.book.Accounts(ctx)
	if err != nil {
		return "", err
	}
	taken := false
	for _, a := range all {
		if a.Operator {
			return "", nil
		}
		taken = taken || a.Name == operatorName
	}
	if taken {
		log.Warn("no account is an operator; make one with `sampan user set NAME --operator`")
		return "", nil
	}
	made := preset == ""
	if made {
		password = newPassword()
	} else if password, err = readPasswordFile(preset); err != nil {
		return "", err
	}
	if made && !terminal {
		if err := replaceFile(filepath.Join(d.dir, passwordFile), []byte(password+"\n"), 0o600); err != nil {
			return "", fault.Wrap(fault.Local, err, "%s cannot be written", passwordFile)
		}
		log.Info("first operator made", "account", operatorName, "password_file", filepath.Join(d.dir, passwordFile))
	}
	if _, err = d.book.Add(ctx, account.NewAccount{Name: operatorName, Password: password, Operator: true}); err != nil {
		return "", err
	}
	if made && terminal {
		return password, nil
	}
	return "", nil
}

// newPassword makes a password of 100 random bits that can be read out over the telephone.
func newPassword() string {
	s := strings.ToLower(rand.Text()[:20]) // base32: no 0, 1, 8 or 9
	return s[:5] + "-" + s[5:10] + "-" + s[10:15] + "-" + s[15:]
}

func readPasswordFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fault.Wrap(fault.Local, err, "the password file %s cannot be read", name)
	}
	defer f.Close()
	return readLine(f)
}

// readLine reads one line without its end: a password.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fault.Wrap(fault.Local, err, "the password cannot be read")
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", fault.New(fault.Syntax, "there is no password in the first line")
	}
	return line, nil
}

// forgetPassword removes DATA/operator-password once the account's password is another one; see account.Options.
func forgetPassword(dir string, log *slog.Logger) func(name string) {
	return func(name string) {
		file := filepath.Join(dir, passwordFile)
		if name != operatorName {
			return
		}
		if err := os.Remove(file); err == nil {
			log.Info("the operator's first password was changed: its file is removed", "file", file)
		}
	}
}
