//go:build linux && long

package stories

// longRun is whether the rows are run that take minutes.
const longRun = true

// serverKills is how often TestServerKilled kills.
const serverKills = 200
