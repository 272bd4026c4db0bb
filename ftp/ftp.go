// Package ftp is the grammar of FTP for both ends: command lines, replies, addresses of data connections, facts,
// listings, block mode. It is pure (no sockets), and every parser has a fuzz target.
package ftp
