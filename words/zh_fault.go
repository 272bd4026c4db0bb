package words

var zhFault = map[string]string{}
