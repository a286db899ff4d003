"""`lab service`: stops, starts, kills, pauses and resumes single servers, for tests of faults."""

from changeover_lab import servers
from changeover_lab.commands.up import check_ports, wait_ready
from changeover_lab.errors import LabError
from changeover_lab.install import say
from changeover_lab.layout import Lab

ACTIONS = ("stop", "start", "kill", "pause", "resume")


def run(directory, action, site, name):
    lab = Lab.open(directory)
    server = servers.find(lab, site, name)
    if not lab.sockets.exists():
        raise LabError(f"{action} {server.title}", "the lab is down", f"start it with: lab --dir {lab.directory} up")
    before = server.state()
    if action == "start":
        if before == "stopped":
            check_ports([server])
        server.start()
        wait_ready(server)
    else:
        getattr(server, action)()
    say(f"{server.title}: {before}, now {server.state()}")
    return 0
