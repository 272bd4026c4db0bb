//go:build unix

package fault

import (
	"errors"
	"syscall"
)

// fromSystem classes what only this kind of system reports, nil if it is none of it.
func fromSystem(err error, name string) error {
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return Wrap(NotDir, err, "%s: not a directory", name)
	case errors.Is(err, syscall.EISDIR):
		return Wrap(IsDir, err, "%s: is a directory", name)
	case errors.Is(err, syscall.ENOTEMPTY):
		return Wrap(NotEmpty, err, "%s: the directory is not empty", name)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return Wrap(NoSpace, err, "%s: no space left on the server's disk", name)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return Wrap(BadName, err, "%s: the name is too long", name)
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EXDEV):
		return Wrap(Denied, err, "%s: leads out of the home", name)
	case errors.Is(err, syscall.EROFS):
		return Wrap(Denied, err, "%s: the disk is read-only", name)
	case errors.Is(err, syscall.EINVAL):
		return Wrap(BadName, err, "%s: the name cannot be used here", name)
	case errors.Is(err, syscall.EBUSY):
		return Wrap(Busy, err, "%s: in use", name)
	}
	return nil
}
