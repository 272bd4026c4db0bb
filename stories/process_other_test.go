//go:build unix && !linux

package stories

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
