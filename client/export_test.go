package client

import "time"

// Age makes the idle connections look as if they had lain idle for long.
func Age(r Remote) int {
	x := r.(*remote)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.idle {
		c.idle = time.Now().Add(-time.Hour)
	}
	return len(x.idle)
}

var (
	LocalName  = localName
	CaseTwin   = caseTwin
	Distinct   = distinct
	FromNetrc  = fromNetrc
	ParsePins  = parsePins
	ParsePart  = parsePart
	ParseHash  = parseHash
	ParseQuota = parseQuota
	ParseTick  = parseTicket
	ParseStand = parseStanding
	Printable  = printable
)
