"""The ssh server of every host: its own address, its own host key, and the host's own view of the file system."""

import shutil
import signal
import subprocess

from changeover_lab import install, namespaces
from changeover_lab.layout import GROUP, LOGIN_USER
from changeover_lab.processes import Daemon, process_state, send, session
from changeover_lab.servers.app import App
from changeover_lab.servers.base import STOP_SECONDS, Server, make_directory, write_file

PORT = 22


class SshServer(Server):
    """`sshd@HOST`. Stopping it also ends the sessions that are open, as when a host goes away."""

    def __init__(self, host):
        super().__init__(host.site, f"sshd@{host.name}", host.address, PORT)
        self.host = host

    @property
    def host_key(self):
        return self.host.ssh / "host_ed25519"

    def prepare(self):
        host, lab = self.host, self.lab
        make_directory("/run/sshd")
        make_directory(host.ssh, mode=0o700)
        if not self.host_key.exists():
            make_key(self.host_key, f"{host.site.name}-{host.name}")
        write_file(
            host.ssh / "sshd_config",
            f"""\
Port {PORT}
ListenAddress {host.address}
HostKey {self.host_key}
PidFile none
UsePAM no
StrictModes no
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthenticationMethods publickey
AuthorizedKeysFile {lab.ssh}/authorized_keys
AllowUsers {LOGIN_USER}
MaxSessions 10
UseDNS no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp -u 0002
""",
        )

    def daemon(self):
        return Daemon(
            self.lab,
            f"{self.site.name}-{self.name}",
            ["/usr/sbin/sshd", "-D", "-e", "-f", self.host.ssh / "sshd_config"],
            binds=namespaces.of_host(self.host),
        )

    def _processes(self):
        """The server and everything that was started over it: all on this host but the application."""
        application = App(self.host).daemon().pid
        return [pid for pid in namespaces.processes_of_host(self.host) if session(pid) != application]

    def stop(self):
        processes = self._processes()
        send(processes, signal.SIGTERM)
        send(processes, signal.SIGCONT)
        self.daemon().wait_for_end(STOP_SECONDS)
        self.kill()

    def kill(self):
        send(self._processes(), signal.SIGKILL)
        self.daemon().kill()

    def pause(self):
        send(self._processes(), signal.SIGSTOP)

    def resume(self):
        send([pid for pid in self._processes() if process_state(pid) == "T"], signal.SIGCONT)


def make_key(path, comment):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        stdin=subprocess.DEVNULL,
        check=True,
        capture_output=True,
    )


def prepare_access(lab):
    """The key of the lab, the client configurations, and the list of all host keys."""
    make_directory(lab.ssh)
    key = lab.ssh / "id_ed25519"
    if not key.exists():
        make_key(key, f"lab-{lab.number}")
    host_key_copy = lab.ssh / "host_id_ed25519"
    shutil.copyfile(key, host_key_copy)
    shutil.chown(host_key_copy, LOGIN_USER, GROUP)
    host_key_copy.chmod(0o600)
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    write_file(lab.ssh / "authorized_keys", public)
    for host in lab.hosts:
        SshServer(host).prepare()
    known = "".join(
        f"{host.address} {' '.join(SshServer(host).host_key.with_suffix('.pub').read_text().split()[:2])}\n"
        for host in lab.hosts
    )
    write_file(lab.ssh / "known_hosts", known)
    write_file(lab.ssh / "config", _client_config(lab, lab.ssh / "id_ed25519"))
    write_file(lab.ssh / "host_config", _client_config(lab, host_key_copy))


def _client_config(lab, key):
    """For `ssh -F`: every host by its address, and as `prod-app1`."""
    names = "".join(f"Host {host.site.name}-{host.name}\n    HostName {host.address}\n" for host in lab.hosts)
    return f"""\
{names}Host *
    User {LOGIN_USER}
    IdentityFile {key}
    IdentitiesOnly yes
    UserKnownHostsFile {lab.ssh}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
"""


def prepare_home(host):
    """The login user's home: the umask that keeps the exchange tree writable for the group, and ssh to all hosts."""
    lab = host.site.lab
    make_directory(host.home, LOGIN_USER, GROUP, 0o750)
    # bash reads this file when sshd runs a command with it, before anything else
    start = "umask 002\n"
    if install.sql_client_home(lab.choices.sql) is not None:
        start += f"PATH='{lab.sql_programs}':$PATH\n"
    for name in (".bashrc", ".profile"):
        write_file(host.home / name, start, LOGIN_USER, GROUP)
    make_directory(host.home / ".ssh", LOGIN_USER, GROUP, 0o700)
    config = (lab.ssh / "host_config").read_text(encoding="utf-8")
    write_file(host.home / ".ssh/config", config, LOGIN_USER, GROUP, 0o600)
