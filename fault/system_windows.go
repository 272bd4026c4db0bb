package fault

import (
	"errors"
	"syscall"
)

// Codes of winerror.h that package syscall does not name.
const (
	errorDiskFull       = syscall.Errno(112)
	errorInvalidName    = syscall.Errno(123)
	errorDirNotEmpty    = syscall.Errno(145)
	errorSharingViolate = syscall.Errno(32)
	errorDirectory      = syscall.Errno(267)
)

// fromSystem classes what only this kind of system reports, nil if it is none of it.
func fromSystem(err error, name string) error {
	switch {
	case errors.Is(err, errorDiskFull):
		return Wrap(NoSpace, err, "%s: no space left on the server's disk", name)
	case errors.Is(err, errorInvalidName):
		return Wrap(BadName, err, "%s: the name cannot be used here", name)
	case errors.Is(err, errorDirNotEmpty):
		return Wrap(NotEmpty, err, "%s: the directory is not empty", name)
	case errors.Is(err, errorSharingViolate):
		return Wrap(Busy, err, "%s: in use", name)
	case errors.Is(err, errorDirectory):
		return Wrap(NotDir, err, "%s: not a directory", name)
	}
	return nil
}
