//go:build linux && long

package stories

// serverKills is how often TestServerKilled kills.
const serverKills = 200
