package words

var zhAdmin = map[string]string{
	"a grant needs a path; / is the whole home":           "授权需要一个路径；/ 表示整个主目录",
	"the API has no %s %s":                                "接口中没有 %s %s",
	"the request must be application/json":                "请求必须是 application/json",
	"the request is too big":                              "请求太大",
	"the request did not come whole":                      "请求没有完整到达",
	"the request cannot be understood: %s":                "无法理解请求：%s",
	"the account was suspended":                           "账户已被停用",
	"the account's home was changed; log in again":        "账户的主目录已更改，请重新登录",
	"the account was removed":                             "账户已被删除",
	"the operator ended the session: %s":                  "管理员结束了会话：%s",
	"the operator ended the session":                      "管理员结束了会话",
	"there is no session %s":                              "没有会话 %s",
	"%q is no time: write it as 2006-01-02T15:04:05Z":     "%q 不是时间，请写成 2006-01-02T15:04:05Z",
	"the limit is a number from 0 to %d, not %s":          "条数上限应为 0 到 %d 的数字，不能是 %s",
	"the server does not answer on its operator's socket": "服务器在管理套接字上没有应答",
	"the server's answer cannot be understood: %s":        "无法理解服务器的应答：%s",
}
