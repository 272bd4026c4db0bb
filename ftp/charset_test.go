package ftp

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

func coded(t testing.TB, e encoding.Encoding, s string) string {
	t.Helper()
	b, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

func TestCharsetDetection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want  Charset
		write encoding.Encoding
		names []string
	}{
		{GB18030, simplifiedchinese.GBK, []string{
			"中文", "文件", "新建文件夹", "新建 文本文档.txt", "我的图片", "/共享/照片/2023年夏天.jpg", "第一季度财务报表（终稿）.xlsx",
			"毕业论文", "合同", "简历", "会议纪要", "张三", "李四", "王小明", "软件", "音乐", "电影", "数据备份", "测试.txt", "你好.txt",
			"使用说明书.doc", "工资条", "發票", "繁體檔案", "璐璐.jpg", "鼎泰", "扫描件", "上海", "北京", "a中", "户口本复印件", "营业执照",
			"课程表", "幼儿园", "图片", "目录", "学习", "系统", "小学", "/图片/小学", "家庭作业", "旅行照片",
		}},
		{Big5, traditionalchinese.Big5, []string{
			"新增資料夾", "我的圖片", "檔案", "中文檔名", "會議記錄.doc", "臺灣", "台北照片", "財務報表", "履歷表", "音樂", "電影", "專案計畫書.pdf",
			"測試.txt", "繁體中文", "你好.txt", "使用說明", "畢業論文", "合約書", "資料備份", "王小明", "/公用/圖片",
		}},
		{ShiftJIS, japanese.ShiftJIS, []string{
			"日本語", "新しいフォルダ", "テスト.txt", "議事録.doc", "見積書", "写真", "東京", "画像ファイル", "ダウンロード", "会議資料", "こんにちは.txt",
			"請求書_2023年.xlsx", "データ", "夏休みの写真", "取扱説明書", "名簿", "コピー ～ 表.txt", "田中さん",
		}},
		{EUCKR, korean.EUCKR, []string{
			"한글", "새 폴더", "사진", "문서.txt", "회의록.doc", "음악", "동영상", "서울", "보고서 최종.hwp", "안녕하세요.txt", "이력서", "견적서",
			"가족사진", "백업", "대한민국", "김철수", "테스트.txt", "영화", "학교 과제", "계약서",
		}},
	} {
		for _, name := range c.names {
			arg := coded(t, c.write, name)
			got := Undecided.After(arg)
			if got != c.want {
				t.Errorf("%q in %v is taken for %v", name, c.want, got)
			} else if back := got.Decode(arg); back != name {
				t.Errorf("%q in %v is read as %q", name, c.want, back)
			}
		}
	}
}

func TestCharsetUTF8(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]Charset{
		"": Undecided, "plain.txt": Undecided, "中文": UTF8, "résumé.doc": Undecided, "한글": UTF8, "日本語": UTF8, "😀": UTF8,
		"Ωmega é": Undecided, "Łódź, Київ": Undecided, "Ελλάδα/Москва/ÅÄÖ": Undecided, "שלום.txt": Undecided, "مرحبا": Undecided,
		"Привет": Undecided, "e\u0301a\u0308": Undecided, "½ × 2°": Undecided, "ẞ": UTF8, "Ünïcödé": Undecided, "Şırınga ığüşöç": Undecided,
		"\xff\xfe": Undecided, "\x80\x81": Undecided,
	} {
		if got := Undecided.After(arg); got != want {
			t.Errorf("After(%q) is %v, want %v", arg, got, want)
		}
		if got := Undecided.After(arg).Decode(arg); got != arg {
			t.Errorf("%q is read as %q", arg, got)
		}
	}
	for _, name := range []string{"Müller.txt", "café.txt", "naïve", "été", "señor.pdf", "façade", "NIÑO", "SEÑOR.TXT", "Übung"} {
		if got := Undecided.After(coded(t, charmap.Windows1252, name)); got != Undecided {
			t.Errorf("%q in Windows-1252 is taken for %v", name, got)
		}
	}
	for _, c := range []Charset{UTF8, GB18030, EUCKR} {
		for _, arg := range []string{"中文", "\xd6\xd0\xce\xc4", "\x93\xfa\x96\x7b", "\xff"} {
			if got := c.After(arg); got != c {
				t.Errorf("%v is %v behind %q", c, got, arg)
			}
		}
	}
	// One character of GB18030 that could be UTF-8 as well decides nothing, and once it is decided it is not UTF-8.
	if got := Undecided.After("\xc4\xa3"); got != Undecided {
		t.Errorf("a name that may be anything decides for %v", got)
	}
	if got := GB18030.Decode("\xc4\xa3"); got != "模" {
		t.Errorf("read as %q", got)
	}
}

func TestCharsetEncode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		charset Charset
		text    string
		want    string
	}{
		{UTF8, "中&#1; \xff", "中&#1; \xff"},
		{Undecided, "中&#1; \xff", "中&#1; \xff"},
		{GB18030, "中文", "\xd6\xd0\xce\xc4"},
		{GB18030, "文😀", "\xce\xc4&#128512;"},
		{GB18030, "a&#38;b & #c", "a&#38;#38;b & #c"},
		{GB18030, "\xff\xe9文", "&#xFF;&#xE9;\xce\xc4"},
		{GB18030, "é", "\xa8\xa6"},
		{Big5, "简", "&#31616;"},
		{ShiftJIS, "¥\\한", "&#165;\\&#54620;"},
		{EUCKR, "한글/简\r\n한", "\xc7\xd1\xb1\xdb/&#31616;\r\n\xc7\xd1"},
	} {
		got := string(c.charset.Encode([]byte(c.text)))
		if got != c.want {
			t.Errorf("%v: %q is written %q, want %q", c.charset, c.text, got, c.want)
		}
		if back := c.charset.Decode(got); back != c.text {
			t.Errorf("%v: %q is read as %q, want %q", c.charset, got, back, c.text)
		}
	}
	// What the client saw before its charset was known.
	if got := GB18030.Decode("/" + coded(t, simplifiedchinese.GBK, "文件") + "/图片/x"); got != "/文件/图片/x" {
		t.Errorf("read as %q", got)
	}
	// Escapes that are never written are no escapes: no slash and no control character comes in by them.
	for _, s := range []string{"&#47;", "&#0;", "&#13;", "&#x2F;", "&#x0a;", "&#xD800;", "&#55296;", "&#1114112;", "&#99999999999;", "&#;", "&#x;", "&#", "&#12", "&#-1;", "&#+233;"} {
		if got := Big5.Decode(s); got != s {
			t.Errorf("%q is read as %q", s, got)
		}
	}
}

// FuzzCharset: whatever a name is, what is shown of it leads back to it; and whatever is sent is read without harm.
func FuzzCharset(f *testing.F) {
	for _, s := range []string{"中文.txt", "a/b c/한글", "😀é€\xff&#x1;&#38;", "\xc4\xa3", "¥~‾", "\x81\x30\x81\x30", "\xa1\xb1", "Ê̄", "\x88\x62", "\xe4\xb8\xad", "鼐\ufffd"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, arg string) {
		for _, c := range []Charset{Undecided, UTF8, GB18030, Big5, ShiftJIS, EUCKR} {
			shown := c.Encode([]byte(name))
			if back := c.Decode(string(shown)); back != name {
				t.Fatalf("%v: %q is shown as %q and read back as %q", c, name, shown, back)
			}
			if strings.Count(string(shown), "/") != strings.Count(name, "/") || bytes.Count(shown, []byte("\n")) != strings.Count(name, "\n") {
				t.Fatalf("%v: %q is shown as %q", c, name, shown)
			}
			line := c.Encode([]byte("-rw-r--r-- 1 " + name + "\r\n"))
			if !strings.HasSuffix(string(line), string(shown)+"\r\n") {
				t.Fatalf("%v: %q is shown as %q in a line and as %q alone", c, name, line, shown)
			}
			read := c.Decode(arg)
			if got := c.Decode(string(c.Encode([]byte(read)))); got != read {
				t.Fatalf("%v: %q, which was sent as %q, is %q when it comes back", c, read, arg, got)
			}
			if strings.Count(read, "/") != strings.Count(arg, "/") || isASCII(arg) && !strings.Contains(arg, "&#") && read != arg {
				t.Fatalf("%v: %q is read as %q", c, arg, read)
			}
		}
		if c := Undecided.After(arg); c > EUCKR || !c.legacy() && c.Decode(arg) != arg {
			t.Fatalf("%q makes it %v", arg, c)
		}
	})
}
