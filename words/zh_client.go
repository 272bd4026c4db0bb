package words

var zhClient = map[string]string{}
