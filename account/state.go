package account

import "sampan/fault"

// State is where an account stands: Pending → Active | Refused; Active ↔ Suspended.
type State uint8

const (
	Pending State = iota
	Active
	Refused
	Suspended
)

var stateNames = [...]string{Pending: "pending", Active: "active", Refused: "refused", Suspended: "suspended"}

// String returns the state's name as the book, JSON and the commands write it: "active".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// ParseState is the reverse of String. Syntax.
func ParseState(name string) (State, error) {
	for s, n := range stateNames {
		if n == name {
			return State(s), nil
		}
	}
	return 0, fault.New(fault.Syntax, "%q is no state of an account: it is one of pending, active, refused, suspended", name)
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the state's name.
func (s *State) UnmarshalText(b []byte) (err error) {
	*s, err = ParseState(string(b))
	return err
}
