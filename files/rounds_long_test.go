//go:build long

package files

const killRounds = 200
