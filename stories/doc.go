// Package stories holds the whole-program tests: the real binary, real sockets, real files and other people's
// clients, with the actors alice (who moves files), the operator, and mallory (who means harm).
//
// Tests behind the build tag long take minutes, root and a loop device: make test-long.
package stories
