"""The lab's own certificate authority, and what it signs: one certificate per search node and SQL server."""

import shutil
import subprocess

from changeover_lab.errors import LabError
from changeover_lab.servers.base import make_directory, write_file

DAYS = "3650"

#: nothing is taken from the machine's own configuration of openssl
SETTINGS = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:{address}
"""


def prepare(lab):
    """The authority, made once per lab."""
    if not lab.choices.tls:
        return
    make_directory(lab.tls)
    if not lab.authority.exists():
        _request(lab, "ca", "authority", f"lab {lab.number}", "")


def certificate(server, directory, user, group):
    """Puts `server.pem`, `server.key` and `ca.pem` for a server into a directory of its own."""
    lab, name = server.lab, f"{server.site.name}-{server.name}"
    if not (lab.tls / f"{name}.pem").exists():
        signed = ["-CA", str(lab.authority), "-CAkey", str(lab.tls / "ca.key")]
        _request(lab, name, "server", server.title, server.address, signed)
    make_directory(directory, user, group, 0o750)
    for source, target in ((f"{name}.pem", "server.pem"), (f"{name}.key", "server.key"), ("ca.pem", "ca.pem")):
        write_file(directory / target, (lab.tls / source).read_text(encoding="ascii"), user, group, 0o640)


def _request(lab, file, section, name, address, more=()):
    settings, coming = lab.tls / f"{file}.cnf", lab.tls / "coming.pem"
    write_file(settings, SETTINGS.format(name=name, address=address or "127.0.0.1"))
    command = [
        "openssl", "req", "-x509", "-config", str(settings), "-extensions", section, "-days", DAYS, "-nodes",
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-keyout", str(lab.tls / f"{file}.key"), "-out", str(coming), *more,
    ]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"made a certificate for {name}", done.stderr.strip(), "see the settings in " + str(settings))
    shutil.move(coming, lab.tls / f"{file}.pem")
