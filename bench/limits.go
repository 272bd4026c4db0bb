//go:build linux

package main

import "io"

func limits(w io.Writer, memory, disk string) error { return nil }
