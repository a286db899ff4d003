"""Starting, finding and ending servers.

A running server is known by a pid file that also holds the process's start time, so that a reused process id is
never mistaken for the server. Every server leads its own session and process group; signals go to the whole group.
"""

import json
import os
import signal
import subprocess
import time

from changeover_lab import namespaces

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Daemon:
    """One server process: how it is started, whether it runs, how it is ended."""

    def __init__(self, lab, name, argv, binds=(), user=None, env=None, stop_signal=signal.SIGTERM):
        self.lab = lab
        self.name = name
        self.argv = argv
        self.binds = binds
        self.user = user
        self.env = env or {}
        self.stop_signal = stop_signal

    @property
    def log(self):
        return self.lab.logs / f"{self.name}.log"

    @property
    def record(self):
        return self.lab.run / f"{self.name}.json"

    @property
    def pid(self):
        """The process id; None when the server does not run."""
        try:
            stored = json.loads(self.record.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return stored["pid"] if start_time(stored["pid"]) == stored["start_time"] else None

    def start(self):
        """Starts the server without waiting for it; False when it runs already."""
        if self.pid is not None:
            return False
        environment = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": str(self.lab.run), **self.env}
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                namespaces.command(self.binds, self.user, self.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.lab.directory,
                start_new_session=True,
                umask=0o002,
            )
        content = {"pid": process.pid, "start_time": start_time(process.pid)}
        self.record.write_text(json.dumps(content) + "\n", encoding="utf-8")
        return True

    def signal(self, number):
        """Sends a signal to the whole process group; False when the server does not run."""
        pid = self.pid
        if pid is None:
            return False
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return False
        return True

    def ask_to_stop(self):
        if self.signal(self.stop_signal):
            self.signal(signal.SIGCONT)  # a paused server would never hear it

    def wait_for_end(self, seconds):
        """Waits, then kills; returns when the whole group is gone."""
        pid = self.pid
        if pid is not None:
            deadline = time.monotonic() + seconds
            while self.pid is not None and time.monotonic() < deadline:
                time.sleep(0.05)
            if self.pid is not None:
                self.signal(signal.SIGKILL)
            wait_for_group_end(pid)
        self.record.unlink(missing_ok=True)

    def kill(self):
        pid = self.pid
        if pid is not None:
            self.signal(signal.SIGKILL)
            wait_for_group_end(pid)
        self.record.unlink(missing_ok=True)

    def state(self):
        """`running`, `paused` or `stopped`."""
        pid = self.pid
        if pid is None:
            return "stopped"
        return "paused" if process_state(pid) == "T" else "running"


def _stat(pid):
    """The fields of /proc/PID/stat after the command name; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def start_time(pid):
    """When a process started, in clock ticks since boot; None when it is gone or only waits to be reaped."""
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def process_state(pid):
    fields = _stat(pid)
    return None if fields is None else fields[0]


def session(pid):
    """The session a process belongs to; None when it is gone."""
    fields = _stat(pid)
    return None if fields is None else int(fields[3])


def wait_for_group_end(group, seconds=10):
    """Waits until no living process is left in a process group."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        members = (int(name) for name in os.listdir("/proc") if name.isdigit())
        if not any(_group(pid) == group for pid in members):
            return
        time.sleep(0.05)


def _group(pid):
    fields = _stat(pid)
    return int(fields[2]) if fields is not None and fields[0] not in ("Z", "X") else None


def send(pids, number):
    """Sends a signal to single processes, of which some may have ended."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def stop_all(daemons, seconds):
    """Ends several servers at once."""
    for daemon in daemons:
        daemon.ask_to_stop()
    deadline = time.monotonic() + seconds
    for daemon in daemons:
        daemon.wait_for_end(max(0.1, deadline - time.monotonic()))
