//go:build !linux

package client

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// openNameless opens nothing: files have names here.
func openNameless(*os.Root, fs.FileMode) (*os.File, error) { return nil, errors.ErrUnsupported }

func setTime(*os.File, time.Time) error { return errors.ErrUnsupported }

func giveName(*os.File, *os.File, string) error { return errors.ErrUnsupported }
