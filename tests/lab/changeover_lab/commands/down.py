"""`lab down`: ends what `lab up` started, and nothing else."""

import shutil
import signal
import time

from changeover_lab import disks, namespaces
from changeover_lab.install import say
from changeover_lab.layout import Lab
from changeover_lab.processes import send, stop_all
from changeover_lab.servers import all_servers
from changeover_lab.servers.base import STOP_SECONDS


def run(directory):
    lab = Lab.open(directory)
    stop(lab)
    say(f"lab {lab.number} is down: {lab.directory}")
    return 0


def stop(lab, gently=True):
    """Ends all servers, then everything that still lives on one of the lab's hosts (open ssh sessions)."""
    daemons = [server.daemon() for server in all_servers(lab)]
    if gently:
        stop_all(daemons, STOP_SECONDS)
    else:
        for daemon in daemons:
            daemon.signal(signal.SIGKILL)
        for daemon in daemons:
            daemon.kill()
    deadline = time.monotonic() + 5
    while rest := namespaces.processes_of_lab(lab):
        send(rest, signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    disks.unmount_all(lab)
    lab.sudoers.unlink(missing_ok=True)
    shutil.rmtree(lab.sockets, ignore_errors=True)
