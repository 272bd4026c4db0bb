package words

import "testing"

func TestDetect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want Lang
	}{
		{nil, English},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, Chinese},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, English},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW"}, Chinese},
		{map[string]string{"LC_ALL": "", "LANG": "zh"}, Chinese},
		{map[string]string{"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, English},
		{map[string]string{"LANG": "de_DE@euro"}, English},
	} {
		if got := Detect(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%v: %v, want %v", c.env, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]Lang{
		"zh": Chinese, "zh-Hans-CN": Chinese, "ZH_cn.utf8": Chinese, "简体中文": Chinese, "en": English, "C.UTF-8": English, "POSIX": English,
	} {
		if got, ok := Parse(tag); !ok || got != want {
			t.Errorf("Parse(%q) = %v, %v", tag, got, ok)
		}
	}
	for _, tag := range []string{"", "de", "zhx", "."} {
		if got, ok := Parse(tag); ok || got != English {
			t.Errorf("Parse(%q) = %v, %v", tag, got, ok)
		}
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	inner := M("interrupted")
	for _, c := range []struct {
		m                Message
		english, chinese string
	}{
		{inner, "interrupted", "已中断"},
		{M("%s: in use", "a%sb"), "a%sb: in use", "a%sb：正在使用中"},
		{M("%s: in use", inner), "interrupted: in use", "已中断：正在使用中"},
		{M("not in any catalogue, 100%%"), "not in any catalogue, 100%", "not in any catalogue, 100%"},
	} {
		if got := c.m.String(); got != c.english {
			t.Errorf("English %q, want %q", got, c.english)
		}
		if got := c.m.In(Chinese); got != c.chinese {
			t.Errorf("Chinese %q, want %q", got, c.chinese)
		}
	}
	if inner.IsZero() || !(Message{}).IsZero() {
		t.Error("IsZero")
	}
}

func FuzzParse(f *testing.F) {
	for _, tag := range []string{"zh_CN.UTF-8", "en-GB", "C", "", "zh@pinyin", "中文", "._-@"} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		l, ok := Parse(tag)
		if !ok && l != English {
			t.Errorf("Parse(%q) = %v, %v", tag, l, ok)
		}
		if again, ok2 := Parse(tag + ".UTF-8"); again != l || ok2 != ok {
			t.Errorf("Parse(%q) depends on the encoding", tag)
		}
	})
}
