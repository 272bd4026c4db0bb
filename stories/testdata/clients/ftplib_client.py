"""Python's ftplib: ftplib_client.py SECURITY MODE HOST PORT USER PASSWORD CA, and on its input one step a line:
OP, LOCAL, REMOTE and TO with tabs between them."""

import ftplib
import os
import ssl
import sys

security, mode, host, port, user, password, ca = sys.argv[1:]


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


def connect():
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
    return ftp


def step(ftp, op, local, remote, to):
    if op == "list":
        for name, facts in ftp.mlsd(remote):
            print(name)
        ftp.retrlines("LIST " + remote, lambda line: None)
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
    elif op == "put-text":
        with open(local, "rb") as f:
            ftp.storlines("STOR " + remote, f)
    elif op == "get-text":
        with open(local, "w", newline="") as f:
            ftp.retrlines("RETR " + remote, lambda line: f.write(line + "\n"))
    elif op == "abort":
        ftp.voidcmd("TYPE I")
        conn = ftp.transfercmd("RETR " + remote)
        assert conn.recv(1000)
        ftp.abort()
        conn.close()
        ftp.voidresp()
    elif op == "rename":
        ftp.rename(remote, to)
    elif op == "delete":
        ftp.delete(remote)
    elif op == "mkdir":
        assert ftp.mkd(remote).endswith(remote)
    elif op == "rmdir":
        ftp.rmd(remote)
    else:
        sys.exit("unknown step " + op)


ftp = connect()
for line in sys.stdin.buffer.read().decode().split("\n")[:-1]:
    step(ftp, *line.split("\t"))
ftp.quit()
