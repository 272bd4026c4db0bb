package client

import "context"

// State is how a request for an account stands.
type State string

const (
	Pending  State = "pending"
	Approved State = "approved"
	Refused  State = "refused"
)

// Standing is what the operator said to a request so far.
type Standing struct {
	State State
	Note  string // the operator's
}

// Register asks the server of u for an account and returns the ticket that Answer takes. TooMany when asked too often;
// BadName; Unsupported where the server has no registration.
func Register(ctx context.Context, u URL, o Options, name, email, password string) (ticket string, err error) {
	panic("not built")
}

// Answer asks how the request of a ticket stands. NotExist if the ticket is unknown or expired.
func Answer(ctx context.Context, u URL, o Options, ticket string) (Standing, error) {
	panic("not built")
}
