package ftp

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// A Charset is how one client writes names. The zero Charset is UTF-8 as long as nothing speaks against it; After tells
// what an argument of the client makes of it.
//
// In UTF-8 every byte is what it is. In a legacy charset Decode reads back whatever Encode wrote: what a client is
// shown it can send again, and it reaches the same file.
//
//   - A character that the charset lacks is written as browsers do it, "&#128512;".
//   - A byte of a name that is not UTF-8 is written "&#xE9;". "&#" itself is written "&#38;#".
//   - An element that is UTF-8 and has a character from U+0800 on is taken for UTF-8 all the same: the client saw it
//     before its charset was known. Text of common characters of a legacy charset never looks so, as each of these
//     begins with a byte below 0xE0, which cannot begin three bytes of UTF-8.
type Charset uint8

// UTF8 is a client that was found to write UTF-8, which is for good (RFC 2640 section 3.1). The rest are legacy.
const (
	Undecided Charset = iota
	UTF8
	GB18030
	Big5
	ShiftJIS
	EUCKR
)

var charsetNames = [...]string{"undecided", "UTF-8", "GB18030", "Big5", "Shift_JIS", "EUC-KR"}

func (c Charset) String() string { return charsetNames[c] }

func (c Charset) legacy() bool { return c > UTF8 }

// encoding reads a legacy charset, with the extensions of Windows.
func (c Charset) encoding() encoding.Encoding {
	switch c {
	case GB18030:
		return simplifiedchinese.GB18030
	case Big5:
		return traditionalchinese.Big5
	case ShiftJIS:
		return japanese.ShiftJIS
	case EUCKR:
		return korean.EUCKR
	case Undecided, UTF8:
	}
	return nil
}

// writer writes a legacy charset. GB18030 is written as its older half, GBK, which has two bytes at most: more is not
// known to the clients that still need it.
func (c Charset) writer() encoding.Encoding {
	if c == GB18030 {
		return simplifiedchinese.GBK
	}
	return c.encoding()
}

// After returns what is known of the client behind an argument that it sent. What is decided stays: the first argument
// that is not UTF-8, or none that anybody would write, and is likely text of a legacy charset, decides for that; one that
// can only be UTF-8 for UTF-8.
func (c Charset) After(arg string) Charset {
	switch {
	case c != Undecided:
		return c
	case !utf8.ValidString(arg):
		return detect(arg, uncommon)
	case certainUTF8(arg):
		return UTF8
	case doubtfulUTF8(arg):
		return detect(arg, (standard+frequent)/2)
	}
	return Undecided
}

// certainUTF8 tells UTF-8 from what may be a legacy charset too: "模" in GB18030 is "ģ" in UTF-8.
func certainUTF8(s string) bool {
	return utf8.ValidString(s) && strings.ContainsFunc(s, func(r rune) bool { return r >= 0x800 })
}

// doubtfulUTF8 tells what nobody writes in UTF-8: letters of two scripts in one argument, or of no living language. So
// some frequent words of two-byte charsets look: "图片" in GB18030 is "ͼƬ" in UTF-8, "目录" is "Ŀ¼".
func doubtfulUTF8(s string) bool {
	var of *unicode.RangeTable
	for _, r := range s {
		if r < 0xc0 || r == '×' || r == '÷' || unicode.Is(unicode.Mn, r) {
			continue
		}
		i := slices.IndexFunc(letters, func(t *unicode.RangeTable) bool { return unicode.Is(t, r) })
		if i < 0 || of != nil && of != letters[i] {
			return true
		}
		of = letters[i]
	}
	return false
}

// letters below U+0800 that are in use, by script.
var letters = []*unicode.RangeTable{
	{R16: []unicode.Range16{ // Latin
		{0xc0, 0x137, 1},
		{0x139, 0x13e, 1},
		{0x141, 0x148, 1},
		{0x14c, 0x17e, 1},
		{0x18f, 0x18f, 1},
		{0x1a0, 0x1a1, 1},
		{0x1af, 0x1b0, 1},
		{0x1cd, 0x1dc, 1},
		{0x218, 0x21b, 1},
		{0x259, 0x259, 1},
	}},
	{R16: []unicode.Range16{{0x386, 0x3ce, 1}}},                    // Greek
	{R16: []unicode.Range16{{0x400, 0x45f, 1}, {0x490, 0x4e9, 1}}}, // Cyrillic
	unicode.Armenian, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana,
}

// Decode returns an argument of the client as UTF-8. Each element of a path is read by itself; one that the charset
// cannot have stays as it is.
func (c Charset) Decode(arg string) string {
	if !c.legacy() || isASCII(arg) && !strings.Contains(arg, "&#") {
		return arg
	}
	var b strings.Builder
	for elem := range strings.SplitAfterSeq(arg, "/") {
		b.WriteString(c.decode(elem))
	}
	return b.String()
}

func (c Charset) decode(elem string) string {
	if certainUTF8(elem) {
		return elem
	}
	text, ok := c.text(elem)
	if !ok {
		return elem
	}
	return unescape(text)
}

// text reads s, false if the charset cannot have it.
func (c Charset) text(s string) (string, bool) {
	if isASCII(s) {
		return s, true
	}
	text, err := c.encoding().NewDecoder().String(s)
	return text, err == nil && !strings.ContainsRune(text, utf8.RuneError)
}

// Encode returns text for the client: lines of a reply or of a listing, with names in it. It may return text itself.
func (c Charset) Encode(text []byte) []byte {
	if !c.legacy() || isASCII(text) && !bytes.Contains(text, []byte("&#")) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/4)
	for len(text) > 0 {
		n := 1 + bytes.IndexAny(text, "/\n") // no charset has these inside a character
		if n == 0 {
			n = len(text)
		}
		out = append(out, c.encode(string(text[:n]))...)
		text = text[n:]
	}
	return out
}

// encode writes one element. Each way is tried back, for in these charsets the way back may lead elsewhere.
func (c Charset) encode(elem string) string {
	e := c.writer().NewEncoder()
	if whole, err := e.String(elem); err == nil && c.decode(whole) == elem {
		return whole
	}
	some, err := e.String(escape(elem, func(r rune) bool {
		coded, err := e.String(string(r))
		back, ok := c.text(coded)
		return err == nil && ok && back == string(r)
	}))
	if err == nil && c.decode(some) == elem {
		return some
	}
	return escape(elem, func(r rune) bool { return r < utf8.RuneSelf })
}

// escape writes what has cannot be written as it is.
func escape(s string, has func(rune) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString("&#x" + strings.ToUpper(strconv.FormatUint(uint64(s[i]), 16)) + ";")
		case strings.HasPrefix(s[i:], "&#"), !has(r):
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// unescape reads what escape wrote; what it never writes stays as it is.
func unescape(s string) string {
	var b strings.Builder
	for {
		head, tail, found := strings.Cut(s, "&#")
		b.WriteString(head)
		if !found {
			return b.String()
		}
		code, rest, _ := strings.Cut(tail, ";")
		if char, ok := escaped(code); ok {
			b.WriteString(char)
			s = rest
		} else {
			b.WriteString("&#")
			s = tail
		}
	}
}

// escaped reads "128512" or "xE9". ASCII is never escaped, but for "&".
func escaped(code string) (string, bool) {
	if hex, ok := strings.CutPrefix(code, "x"); ok {
		n, err := strconv.ParseUint(hex, 16, 8)
		return string([]byte{byte(n)}), err == nil && n >= utf8.RuneSelf
	}
	n, err := strconv.ParseUint(code, 10, 31)
	r := rune(n)
	return string(r), err == nil && (r == '&' || r >= utf8.RuneSelf && utf8.ValidRune(r))
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// detect finds the legacy charset that s is most likely written in; Undecided if none is as likely as least. Of equals the
// first wins.
func detect(s string, least float64) Charset {
	best, most := Undecided, least
	for _, c := range slices.Backward([]Charset{GB18030, Big5, ShiftJIS, EUCKR}) {
		if text, ok := c.text(s); ok {
			if likely := c.likely(s, text); likely >= most {
				best, most = c, likely
			}
		}
	}
	return best
}

// How likely a character is to stand in a name. Text of one-byte charsets ("M\xfcller") reads as odd ones.
const (
	frequent = 4.0  // one of a few hundred that make most of all text
	standard = 2.0  // of those that the charset's authors put first
	symbol   = 1.0  // punctuation
	uncommon = -1.0 // of those that they put second
	odd      = -3.0 // a lead byte before what may be an ASCII letter, or worse
)

// likely is the mean over the characters of s; text is what s reads as. It looks at the first of them only.
func (c Charset) likely(s, text string) float64 {
	sum, n := 0.0, 0.0
	for _, r := range text {
		if s == "" || n >= 64 {
			break
		}
		size := 1
		if s[0] >= utf8.RuneSelf {
			size = min(c.size(s), len(s))
			sum, n = sum+c.weight(s[:size], r), n+1
		}
		s = s[size:]
	}
	return sum / max(n, 1)
}

// size is how many bytes the character has that s begins with.
func (c Charset) size(s string) int {
	switch {
	case c == ShiftJIS && (s[0] == 0x80 || s[0] >= 0xa0 && s[0] < 0xe0), c == GB18030 && s[0] == 0x80:
		return 1
	case c == GB18030 && len(s) > 1 && s[1] < 0x40:
		return 4
	}
	return 2
}

// weight judges the character r, written as b.
func (c Charset) weight(b string, r rune) float64 {
	if len(b) != 2 { // half-width kana, or four bytes of GB18030
		return odd
	}
	lead, high := b[0], b[1] >= 0xa1
	first, mark := false, false
	switch c {
	case GB18030:
		first, mark = high && lead >= 0xb0 && lead <= 0xd7, high && (lead == 0xa1 || lead == 0xa3)
	case Big5:
		first, mark = lead >= 0xa4 && lead <= 0xc6, lead >= 0xa1 && lead <= 0xa3
	case ShiftJIS:
		first, mark = lead >= 0x88 && lead <= 0x97, lead == 0x81
		if lead == 0x82 || lead == 0x83 && r >= 0x3040 && r < 0x3100 {
			return frequent
		}
	case EUCKR:
		first, mark = high && lead >= 0xb0 && lead <= 0xc8, high && (lead == 0xa1 || lead == 0xa3)
	case Undecided, UTF8:
	}
	switch {
	case strings.ContainsRune(frequentIn[c], r):
		return frequent
	case first:
		return standard
	case mark:
		return symbol
	case c == GB18030 && strings.ContainsRune(frequentIn[Big5], r):
		return standard
	case b[1] >= 0x80:
		return uncommon
	}
	return odd
}
