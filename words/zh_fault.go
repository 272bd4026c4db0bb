package words

// zhFault holds what packages fault and files say.
var zhFault = map[string]string{
	// fault
	"interrupted": "已中断",
	"something went wrong inside; the log says what":     "内部出错；详情见日志",
	"%s: no such file or directory":                      "%s：没有这个文件或目录",
	"%s: that name is taken":                             "%s：名称已被占用",
	"%s: the server's file system does not allow it":     "%s：服务器的文件系统不允许",
	"%s: it took too long":                               "%s：耗时过长",
	"%s: not a directory":                                "%s：不是目录",
	"%s: is a directory":                                 "%s：是目录",
	"%s: the directory is not empty":                     "%s：目录不是空的",
	"%s: no space left on the server's disk":             "%s：服务器磁盘空间不足",
	"%s: the name is too long":                           "%s：名称太长",
	"%s: leads out of the home":                          "%s：指向主目录之外",
	"%s: the disk is read-only":                          "%s：磁盘是只读的",
	"%s: the name cannot be used here":                   "%s：这里不能使用这个名称",
	"%s: in use":                                         "%s：正在使用中",
	"%s: something went wrong inside; the log says what": "%s：内部出错；详情见日志",

	// files
	"the root cannot be replaced":                      "不能替换根目录",
	"the name is too long":                             "名称太长",
	"control characters are not allowed in new names":  "新名称中不允许有控制字符",
	"the name holds a character that no name may have": "名称中含有任何名称都不允许的字符",
	"the name is one of Sampan's own":                  "该名称由 Sampan 自己使用",
	"the name is not one element":                      "名称不是单独一级",
}
