"""What all servers have in common."""

import os
import shutil
import signal
import socket

STOP_SECONDS = 25


class Server:
    """One server of one site. The usual case is one process, `daemon`; the others override what differs."""

    #: how long it may take until the server answers
    ready_seconds = 60

    def __init__(self, site, name, address, port):
        self.site = site
        self.lab = site.lab
        self.name = name
        self.address = address
        self.port = port

    @property
    def title(self):
        return f"{self.site.name} {self.name}"

    def prepare(self):
        """Writes configuration and creates directories, for the first start and for every later one."""

    def daemon(self):
        """The process of this server."""
        raise NotImplementedError

    def probe(self):
        """None when the server is ready, otherwise the reason why not yet."""
        socket.create_connection((self.address, self.port), timeout=2).close()

    def after_ready(self):
        """What has to be done inside of the server once it answers."""

    # -- what `lab service` does

    def start(self):
        """Starts without waiting; False when it runs already."""
        self.prepare()
        return self.daemon().start()

    def stop(self):
        daemon = self.daemon()
        daemon.ask_to_stop()
        daemon.wait_for_end(STOP_SECONDS)

    def kill(self):
        self.daemon().kill()

    def pause(self):
        self.daemon().signal(signal.SIGSTOP)

    def resume(self):
        self.daemon().signal(signal.SIGCONT)

    def state(self):
        return self.daemon().state()

    def pid(self):
        return self.daemon().pid

    @property
    def log(self):
        return self.daemon().log


def make_directory(path, user="root", group=None, mode=0o755):
    """A directory with this owner and these rights, whatever the umask is."""
    os.makedirs(path, exist_ok=True)
    shutil.chown(path, user, group or user)
    os.chmod(path, mode)


def write_file(path, text, user="root", group="root", mode=0o644):
    """A file with this owner and these rights, that never had wider ones. Symbolic links are not followed."""
    path = str(path)
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    shutil.chown(path + ".new", user, group)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
