//go:build !long

package files

const killRounds = 15
