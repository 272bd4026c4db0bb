package client

import "sampan/files"

// Disk is a Store over a directory of this machine, with NAME.part files and a rename at commit. It is a Parter and a
// Summer, and an io.Closer. Its errors are Local where this machine is to blame.
func Disk(dir string) (files.Store, error) { panic("not built") }

// OnDisk returns the Disk and the Path of a name that the user typed, relative to the working directory or absolute.
// The parent directory must exist; a link is followed.
func OnDisk(name string) (files.Store, files.Path, error) { panic("not built") }
