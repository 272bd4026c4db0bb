"""Python's paramiko: paramiko_client.py LOGIN MODE HOST PORT USER PASSWORD KNOWN_HOSTS KEY, and on its input one step a
line: OP, LOCAL, REMOTE and TO with tabs between them."""

import os
import shutil
import sys

import paramiko

login, _, host, port, user, password, known, key = sys.argv[1:]


def connect():
    client = paramiko.SSHClient()
    client.load_host_keys(known)
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(
        host, int(port), user, password or None, key_filename=key or None, allow_agent=False, look_for_keys=False, timeout=60
    )
    return client


def step(sftp, op, local, remote, to):
    if op == "list":
        for name in sftp.listdir(remote):
            print(name)
    elif op == "put":
        sftp.put(local, remote)
    elif op == "get":
        sftp.get(remote, local)
    elif op == "resume-put":
        assert sftp.stat(remote).st_size == int(to)
        with open(local, "rb") as source, sftp.open(remote, "ab") as target:
            source.seek(int(to))
            target.set_pipelined(True)
            shutil.copyfileobj(source, target, 32768)
    elif op == "resume-get":
        with sftp.open(remote, "rb") as source, open(local, "ab") as target:
            source.seek(os.path.getsize(local))
            shutil.copyfileobj(source, target, 32768)
    elif op == "abort":
        with sftp.open(remote, "rb") as source:
            source.prefetch()
            source.read(1000)
    elif op == "rename":
        sftp.posix_rename(remote, to)
    elif op == "delete":
        sftp.remove(remote)
    elif op == "mkdir":
        sftp.mkdir(remote)
    elif op == "rmdir":
        sftp.rmdir(remote)
    elif op == "check":
        with sftp.open(remote, "rb") as f:
            print(f.check("sha256").hex())
    else:
        raise ValueError(op)


with connect() as client:
    sftp = client.open_sftp()
    for line in sys.stdin:
        step(sftp, *line.rstrip("\n").split("\t"))
