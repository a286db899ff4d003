"""The application on every host, kept running by runit as the service `shop`."""

import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request

from changeover_lab import namespaces
from changeover_lab.layout import DATABASE, GROUP, LOGIN_USER, SEARCH_ADMIN, SQL_APPLICATION
from changeover_lab.processes import Daemon, process_state
from changeover_lab.servers.base import Server, make_directory, write_file

PORT = 8080


class App(Server):
    """`app@HOST`. The process of the lab is runit's `runsvdir`; faults are done to the application below it."""

    def __init__(self, host):
        super().__init__(host.site, f"app@{host.name}", host.address, PORT)
        self.host = host
        self.service = host.service / "shop"

    def prepare(self):
        make_directory(self.service)
        # asking for the status must be possible for the login user, controlling only for root
        make_directory(self.service / "supervise", LOGIN_USER, GROUP)
        ok = self.service / "supervise" / "ok"
        if not ok.exists():
            os.mkfifo(ok)
        shutil.chown(ok, LOGIN_USER, GROUP)
        ok.chmod(0o600)
        write_file(self.service / "site.ini", self._settings(), "root", GROUP, 0o640)
        write_file(
            self.service / "run",
            f"""\
#!/bin/sh
exec 2>&1
umask 002
exec setpriv --reuid {LOGIN_USER} --regid {GROUP} --init-groups \\
    env -i PATH=/usr/bin:/bin LANG=C.UTF-8 \\
    /usr/bin/python3 -B '{self.lab.programs}/shop.py' '{self.lab.service_mount}/shop/site.ini'
""",
            mode=0o755,
        )

    def _settings(self):
        """What belongs to this site, as opposed to the configuration tree, which is copied between the sites."""
        host, site, lab = self.host, self.host.site, self.lab
        peers = " ".join(other.app_url for other in site.hosts if other is not host)
        return f"""\
[site]
name = {site.name}
host = {host.name}
listen = {host.address}
port = {PORT}
peers = {peers}
storage = {lab.storage_mount}
config = {lab.config_mount}

[search]
urls = {" ".join(site.search_urls)}
user = {SEARCH_ADMIN}
password = {lab.secret("search")}
replicas = {0 if site.search_nodes == 1 else 1}

[sql]
address = {site.sql_address}
port = 3306
database = {DATABASE}
user = {SQL_APPLICATION}
password = {lab.secret("sql-application")}

[tls]
authority = {lab.authority if lab.choices.tls else ""}

[redis]
address = {site.redis_address}
port = 6379
"""

    def daemon(self):
        return Daemon(
            self.lab,
            f"{self.site.name}-{self.name}",
            ["/usr/bin/runsvdir", self.lab.service_mount],
            binds=namespaces.of_host(self.host),
            stop_signal=signal.SIGHUP,
        )

    def probe(self):
        health = ask_health(self.host)
        return None if health["status"] == "up" else json.dumps(health)

    # -- faults

    def start(self):
        if super().start():
            return True
        if self._application() is not None:
            return False
        self._control("up")
        return True

    def stop(self):
        self._control("cont")
        self._control("-w", "15", "force-stop")

    def kill(self):
        self._signal(signal.SIGKILL)

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def state(self):
        application = self._application()
        if application is None:
            return "stopped"
        return "paused" if process_state(application) == "T" else "running"

    def pid(self):
        return self._application()

    def _application(self):
        """The process id of the application itself."""
        if self.daemon().pid is None:
            return None
        try:
            pid = int((self.service / "supervise/pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if process_state(pid) not in (None, "Z") else None

    def _signal(self, number):
        pid = self._application()
        if pid is not None:
            os.kill(pid, number)

    def _control(self, *arguments):
        if self.daemon().pid is not None:
            subprocess.run(
                ["/usr/bin/sv", *arguments, str(self.service)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )


def ask_health(host, timeout=6):
    """The answer of GET /health, whatever its status is."""
    try:
        with urllib.request.urlopen(f"{host.app_url}/health", timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def restart_script(lab):
    """What the restart script does: on every host, in that host's view, it restarts that host's service."""
    return f"""\
#!/bin/sh
# Restarts the application of this host. Run by the login user through sudo.
exec /usr/bin/sv -w 15 restart '{lab.service_mount}/shop'
"""
