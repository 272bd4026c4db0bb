package words

var zhSession = map[string]string{}
