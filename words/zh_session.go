package words

// zhSession holds what package session says, and errors of ftpd.
var zhSession = map[string]string{
	"%s: your account may not do this here":                                        "%s：你的账户在这里没有此权限",
	"%s: another of your sessions is uploading it":                                 "%s：你的另一个会话正在上传它",
	"the server has as many sessions as it may; try again later":                   "服务器的会话数已达上限；请稍后再试",
	"your address has as many sessions as it may; end one and try again":           "你的地址的会话数已达上限；请结束一个后再试",
	"your account has as many sessions as it may; end one and try again":           "你的账户的会话数已达上限；请结束一个后再试",
	"your account reads as many directories at once as it may; close some":         "你的账户同时读取的目录数已达上限；请关闭一些",
	"your account moves as many files at once as it may; wait until one has ended": "你的账户同时传输的文件数已达上限；请等一个传输结束",
	"you did not log in, and others wait; try again":                               "你没有登录，而其他人在等待；请重试",
	"the server is stopping":                                                       "服务器正在停止",
	"the account is no longer there":                                               "该账户已不存在",
	"the account is suspended":                                                     "该账户已被停用",
	"the session has ended":                                                        "会话已结束",
	"your home cannot be opened just now; the server's log says why":               "你的主目录现在无法打开；原因见服务器日志",
	"log in first": "请先登录",
	"another of your sessions goes on with it": "你的另一个会话将继续它",
	"nothing came for %s":                      "%s 内没有收到任何数据",
	"%s: it became shorter while it was read":  "%s：读取期间文件变短了",
	"%s: it cannot be copied":                  "%s：无法复制",
	"the transfer goes the other way":          "传输方向相反",
	"the transfer has ended":                   "传输已结束",
	"the connection broke before the end":      "连接在结束前中断",
	"the upload did not reach its end":         "上传没有到达结尾",

	"aborted as you asked":                                    "已按你的要求中止",
	"the control connection ended during the transfer":        "传输期间控制连接已断开",
	"the part has %d bytes: only that offset goes on with it": "该部分有 %d 字节：只能从这个位置继续",
}
