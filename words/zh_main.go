package words

var zhMain = map[string]string{}
