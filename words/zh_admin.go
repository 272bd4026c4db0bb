package words

var zhAdmin = map[string]string{}
