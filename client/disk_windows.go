package client

import "os"

const nonblock = 0

// syncDir does nothing: Windows cannot sync a directory.
func syncDir(*os.Root, string) error { return nil }
