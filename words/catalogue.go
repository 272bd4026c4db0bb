package words

// catalogues lists the Chinese tables, one a package that speaks.
var catalogues = []map[string]string{
	zhFault, zhAccount, zhSession, zhFtpd, zhSftpd, zhAdmin, zhClient, zhSFTP, zhShell, zhConsole, zhMain,
}
