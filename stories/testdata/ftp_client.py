"""Python's ftplib as a foreign client: ftp_client.py SECURITY MODE HOST PORT USER PASSWORD CA OP LOCAL REMOTE [TO]."""

import ftplib
import os
import ssl
import sys

security, mode, host, port, user, password, ca, op, local, remote = sys.argv[1:11]


class Reusing(ftplib.FTP_TLS):
    """Data connections resume the control connection's session, as picky servers want it."""

    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
            assert conn.session_reused, "the data connection did not resume the session"
        return conn, size


class Implicit(Reusing):
    _sock = None

    @property
    def sock(self):
        return self._sock

    @sock.setter
    def sock(self, value):
        if value is not None and not isinstance(value, ssl.SSLSocket):
            value = self.context.wrap_socket(value, server_hostname=self.host)
        self._sock = value


if security == "plain":
    ftp = ftplib.FTP(timeout=60, encoding="utf-8")
else:
    context = ssl.create_default_context(cafile=ca)
    ftp = {"explicit": Reusing, "implicit": Implicit}[security](context=context, timeout=60, encoding="utf-8")
ftp.connect(host, int(port))
ftp.login(user, password)
if security != "plain":
    ftp.prot_p()
ftp.set_pasv(mode == "passive")

if op == "list":
    ftp.retrlines("LIST")
    for name, facts in ftp.mlsd():
        print(name, facts)
elif op == "put":
    with open(local, "rb") as f:
        ftp.storbinary("STOR " + remote, f)
elif op == "resume-put":
    ftp.voidcmd("TYPE I")
    at = ftp.size(remote)
    assert at, "there is nothing to resume"
    with open(local, "rb") as f:
        f.seek(at)
        ftp.storbinary("STOR " + remote, f, rest=at)
elif op == "get":
    with open(local, "wb") as f:
        ftp.retrbinary("RETR " + remote, f.write)
elif op == "resume-get":
    with open(local, "ab") as f:
        ftp.retrbinary("RETR " + remote, f.write, rest=os.path.getsize(local))
elif op == "rename":
    ftp.rename(remote, sys.argv[11])
elif op == "delete":
    ftp.delete(remote)
else:
    sys.exit("unknown operation " + op)
ftp.quit()
