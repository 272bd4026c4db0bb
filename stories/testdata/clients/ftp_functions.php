<?php
// PHP's ftp functions: ftp_functions.php SECURITY MODE HOST PORT USER PASSWORD CA, and on its input one step a line:
// OP, LOCAL, REMOTE and TO with tabs between them.

[, $security, $mode, $host, $port, $user, $password] = $argv;

set_error_handler(function ($level, $text) {
	throw new ErrorException($text);
});

function must($ok, $what) {
	if ($ok === false || $ok === -1) {
		throw new Exception($what);
	}
	return $ok;
}

function step($ftp, $op, $local, $remote, $to) {
	switch ($op) {
	case 'list':
		foreach (must(ftp_mlsd($ftp, $remote), $op) as $entry) {
			echo $entry['name'], "\n";
		}
		must(ftp_rawlist($ftp, $remote), $op);
		break;
	case 'put':
		must(ftp_put($ftp, $remote, $local, FTP_BINARY), $op);
		break;
	case 'resume-put':
		must(ftp_put($ftp, $remote, $local, FTP_BINARY, FTP_AUTORESUME), $op);
		break;
	case 'get':
		must(ftp_get($ftp, $local, $remote, FTP_BINARY), $op);
		break;
	case 'resume-get':
		must(ftp_get($ftp, $local, $remote, FTP_BINARY, FTP_AUTORESUME), $op);
		break;
	case 'put-text':
		must(ftp_put($ftp, $remote, $local, FTP_ASCII), $op);
		break;
	case 'get-text':
		must(ftp_get($ftp, $local, $remote, FTP_ASCII), $op);
		break;
	case 'rename':
		must(ftp_rename($ftp, $remote, $to), $op);
		break;
	case 'delete':
		must(ftp_delete($ftp, $remote), $op);
		break;
	case 'mkdir':
		must(str_ends_with(must(ftp_mkdir($ftp, $remote), $op), $remote), $op);
		break;
	case 'rmdir':
		must(ftp_rmdir($ftp, $remote), $op);
		break;
	default:
		throw new Exception("unknown step $op");
	}
}

$ftp = must($security === 'plain' ? ftp_connect($host, $port, 60) : ftp_ssl_connect($host, $port, 60), 'connecting');
must(ftp_login($ftp, $user, $password), 'login');
must(ftp_pasv($ftp, $mode === 'passive'), 'passive mode');
while (($line = fgets(STDIN)) !== false) {
	step($ftp, ...explode("\t", rtrim($line, "\n")));
}
ftp_close($ftp);
