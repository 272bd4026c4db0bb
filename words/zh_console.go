package words

var zhConsole = map[string]string{}
