// Package admin is the operator's API: HTTP and JSON under /api/v1. Its Handler serves it (on DATA/admin.sock, and
// later behind the web door), its Client speaks it: to a running server over the socket, or, when none runs, to a
// Handler in the same process over the book that Client opened under its lock. So every command has one code path.
package admin

import (
	"context"
	"net/http"

	"sampan/account"
	"sampan/session"
)

// Handler serves the API over an open book and hub. Whoever can reach it is an operator: the socket's directory is
// only its owner's.
func Handler(b *account.Book, h *session.Hub) http.Handler { panic("not built") }

// Client speaks the API. Its errors are *fault.Error as the server sent them: kind and sentence survive the wire.
type Client struct{ http *http.Client }

// NewClient returns a Client that speaks to the server listening on a unix socket.
func NewClient(socket string) *Client { panic("not built") }

// InProcess returns a Client that calls h directly.
func InProcess(h http.Handler) *Client { panic("not built") }

// User is an account as the API shows it.
type User struct {
	Name     string  `json:"name"`
	Email    string  `json:"email,omitempty"`
	State    string  `json:"state"`
	Operator bool    `json:"operator"`
	Home     string  `json:"home"`
	Quota    int64   `json:"quota"` // bytes, -1 unlimited
	Used     int64   `json:"used"`  // bytes
	Grants   []Grant `json:"grants"`
	Lenient  bool    `json:"lenient,omitempty"`
	Created  string  `json:"created"`             // RFC 3339, UTC
	LastSeen string  `json:"last_seen,omitempty"` // RFC 3339, UTC
}

// Grant is a path with pyftpdlib's letters.
type Grant struct {
	Path  string `json:"path"`
	Perms string `json:"perms"`
}

// The rest of the surface is methods of Client, one a route:
//
//	Users, User, AddUser, UpdateUser, RemoveUser, Grant, Revoke,
//	Requests, Decide, QuotaCheck, Who, Kick, KickUser, Log.
var _ = context.Background
