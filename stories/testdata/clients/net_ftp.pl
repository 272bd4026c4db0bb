# Perl's Net::FTP: net_ftp.pl SECURITY MODE HOST PORT USER PASSWORD CA, and on its input one step a line:
# OP, LOCAL, REMOTE and TO with tabs between them. Names are bytes.
use strict;
use warnings;
use Net::FTP;

my ($security, $mode, $host, $port, $user, $password, $ca) = @ARGV;
my $ftp;

sub must {
	my ($ok, $what) = @_;
	die "$what: " . ($ftp ? $ftp->message : $@) . "\n" unless defined $ok && $ok ne '';
	return $ok;
}

sub step {
	my ($op, $local, $remote, $to) = @_;
	if ($op eq 'list') {
		my ($names, $lines) = (scalar $ftp->ls($remote), scalar $ftp->dir($remote));
		print "$_\n" for must($names, 'NLST')->@*;
		must($lines, 'LIST');
	} elsif ($op eq 'put') {
		must($ftp->put($local, $remote), $op);
	} elsif ($op eq 'resume-put') {
		my $at = must($ftp->size($remote), 'size');
		open(my $f, '<:raw', $local) or die "$local: $!";
		seek($f, $at, 0);
		must($ftp->append($f, $remote), $op);
	} elsif ($op eq 'get') {
		must($ftp->get($remote, $local), $op);
	} elsif ($op eq 'resume-get') {
		must($ftp->get($remote, $local, -s $local), $op);
	} elsif ($op eq 'put-text') {
		$ftp->ascii;
		must($ftp->put($local, $remote), $op);
		$ftp->binary;
	} elsif ($op eq 'get-text') {
		$ftp->ascii;
		must($ftp->get($remote, $local), $op);
		$ftp->binary;
	} elsif ($op eq 'abort') {
		my $data = must($ftp->retr($remote), 'retr');
		must($data->read(my $some, 1000), 'read');
		$data->abort;
	} elsif ($op eq 'rename') {
		must($ftp->rename($remote, $to), $op);
	} elsif ($op eq 'delete') {
		must($ftp->delete($remote), $op);
	} elsif ($op eq 'mkdir') {
		my $made = must($ftp->mkdir($remote), $op);
		die "made $made, not $remote\n" unless $made =~ /\Q$remote\E$/;
	} elsif ($op eq 'rmdir') {
		must($ftp->rmdir($remote), $op);
	} else {
		die "unknown step $op\n";
	}
}

$ftp = Net::FTP->new($host, Port => $port, Passive => $mode eq 'passive', Timeout => 60,
	SSL => $security eq 'implicit', SSL_ca_file => $ca, SSL_verify_mode => 1) or die "connecting: $@\n";
must($ftp->starttls, 'AUTH TLS') if $security eq 'explicit';
must($ftp->login($user, $password), 'login');
must($ftp->prot('P'), 'PROT P') if $security ne 'plain';
$ftp->binary;
while (my $line = <STDIN>) {
	chomp $line;
	step(split /\t/, $line, -1);
}
$ftp->quit;
