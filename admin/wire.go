package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"

	"sampan/fault"
	"sampan/words"
)

// statuses are the HTTP statuses of the kinds; those that are missing are 500.
var statuses = map[fault.Kind]int{
	fault.NotExist: http.StatusNotFound, fault.Exist: http.StatusConflict, fault.Denied: http.StatusForbidden,
	fault.Unauth: http.StatusUnauthorized, fault.BadName: http.StatusBadRequest, fault.Syntax: http.StatusBadRequest,
	fault.BadOffset: http.StatusBadRequest, fault.NotDir: http.StatusConflict, fault.IsDir: http.StatusConflict,
	fault.NotEmpty: http.StatusConflict, fault.Stopped: http.StatusConflict, fault.Mismatch: http.StatusConflict,
	fault.OverQuota: http.StatusInsufficientStorage, fault.NoSpace: http.StatusInsufficientStorage,
	fault.Cut: http.StatusBadRequest, fault.Busy: http.StatusServiceUnavailable, fault.TooMany: http.StatusTooManyRequests,
	fault.Unsupported: http.StatusNotImplemented,
}

// problem is a failure on the wire.
type problem struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
	Args []arg  `json:"args,omitempty"`
	Say  string `json:"say"` // the sentence in English; not read back
}

func problemOf(err error) (int, problem) {
	kind, say := fault.KindOf(err), fault.Say(err)
	status, ok := statuses[kind]
	if !ok {
		status = http.StatusInternalServerError
	}
	return status, problem{Kind: kind.String(), Text: say.Text, Args: argsOf(say), Say: say.String()}
}

// fault rebuilds the failure as it was on the other side.
func (p problem) fault() error {
	m := words.Message{Text: p.Text}
	for _, a := range p.Args {
		m.Args = append(m.Args, a.value)
	}
	return &fault.Error{Kind: fault.ParseKind(p.Kind), Say: m}
}

// arg is one argument of a message: a string, a bool, an integer (int64 on arrival), a floating-point number, or a
// message in a message as {"text": …, "args": […]}. What is of another type travels as the text that %v makes of it.
type arg struct{ value any }

func argsOf(m words.Message) []arg {
	var out []arg
	for _, a := range m.Args {
		out = append(out, arg{a})
	}
	return out
}

type innerMessage struct {
	Text string `json:"text"`
	Args []arg  `json:"args,omitempty"`
}

func (a arg) MarshalJSON() ([]byte, error) {
	if m, ok := a.value.(words.Message); ok {
		return json.Marshal(innerMessage{m.Text, argsOf(m)})
	}
	if _, ok := a.value.(interface{ String() string }); ok {
		return json.Marshal(fmt.Sprint(a.value))
	}
	if _, ok := a.value.(error); ok {
		return json.Marshal(fmt.Sprint(a.value))
	}
	switch v := reflect.ValueOf(a.value); v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(nil, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(nil, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(nil, v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		if text := strconv.AppendFloat(nil, v.Float(), 'e', -1, 64); json.Valid(text) {
			return text, nil // the exponent tells it from an integer
		}
	}
	return json.Marshal(fmt.Sprint(a.value))
}

func (a *arg) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '{':
		var m innerMessage
		if err := json.Unmarshal(b, &m); err != nil {
			return err
		}
		out := words.Message{Text: m.Text}
		for _, inner := range m.Args {
			out.Args = append(out.Args, inner.value)
		}
		a.value = out
		return nil
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if !bytes.ContainsAny(b, ".eE") {
			if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
				a.value = n
				return nil
			}
			n, err := strconv.ParseUint(string(b), 10, 64)
			a.value = n
			return err
		}
	case '[':
		return fmt.Errorf("an argument cannot be a list")
	}
	return json.Unmarshal(b, &a.value)
}
