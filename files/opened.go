package files

import (
	"io"
	"os"
)

// Opened describes what Local.Open opened as i as it is now. It has another Tag if the content changed meanwhile, or if
// the name is no longer that of this content.
func Opened(r io.Reader, i Info) Info {
	f, ok := r.(*os.File)
	if !ok {
		return i
	}
	n, err := fileNode(f)
	if err != nil {
		return i
	}
	now := n.info(i.Path)
	now.Part = i.Part
	return now
}
