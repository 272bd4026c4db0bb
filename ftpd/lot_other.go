//go:build !linux

package ftpd

// A lot takes nobody in here: sessions doze on a goroutine each.
type lot struct{}

func (*lot) park(*conn) bool { return false }

func (*lot) leave(*conn) {}

func (*lot) close() {}
