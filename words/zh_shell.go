package words

var zhShell = map[string]string{}
