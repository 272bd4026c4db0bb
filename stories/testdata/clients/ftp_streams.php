<?php
// PHP's ftps:// streams, which verify the certificate: the arguments and the steps of ftp_functions.php, put and get only.

[, $security, , $host, $port, $user, $password, $ca] = $argv;

set_error_handler(function ($level, $text) {
	throw new ErrorException($text);
});

$context = stream_context_create(['ssl' => ['cafile' => $ca, 'peer_name' => 'localhost'], 'ftp' => ['overwrite' => true]]);
while (($line = fgets(STDIN)) !== false) {
	[$op, $local, $remote] = explode("\t", rtrim($line, "\n"));
	// PHP sends the path as it stands in the URL.
	$url = sprintf('%s://%s:%s@%s:%s/%s', $security === 'plain' ? 'ftp' : 'ftps', $user, $password, $host, $port, $remote);
	if (!($op === 'put' ? copy($local, $url, $context) : copy($url, $local, $context))) {
		throw new Exception($op);
	}
}
