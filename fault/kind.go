package fault

// kindNames are the names of the Kinds in records and on the wire; they never change.
var kindNames = map[Kind]string{
	Internal: "internal", NotExist: "not-exist", Exist: "exist", Denied: "denied", Unauth: "unauth",
	BadName: "bad-name", NotDir: "not-dir", IsDir: "is-dir", NotEmpty: "not-empty", OverQuota: "over-quota",
	NoSpace: "no-space", Busy: "busy", BadOffset: "bad-offset", Unsupported: "unsupported", Syntax: "syntax",
	TooMany: "too-many", Cut: "cut", Durability: "durability", Unreachable: "unreachable", Untrusted: "untrusted",
	Mismatch: "mismatch", Stopped: "stopped", Local: "local", GaveUp: "gave-up",
}

// String returns the name of k in records and on the wire: "not-exist".
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return kindNames[Internal]
}

// ParseKind is the reverse of String; an unknown name is Internal.
func ParseKind(name string) Kind {
	for k, s := range kindNames {
		if s == name {
			return k
		}
	}
	return Internal
}
