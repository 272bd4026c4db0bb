// Package console is the live screen of `sampan serve` on a terminal.
package console
