package words

var zhAccount = map[string]string{}
