// Package shell is the client as a person sees it: the table of verbs that both the one-shot commands and the
// interactive shell run, the line editor, completion, bars, and the menu.
package shell
