"""The cluster service of a site: tells which application host is the leader."""

import json
import urllib.error
import urllib.request

from changeover_lab.processes import Daemon
from changeover_lab.servers.base import Server, make_directory, write_file

PORT = 8500


class LeaderService(Server):
    """`leader`."""

    def __init__(self, site):
        super().__init__(site, "leader", site.leader_address, PORT)

    def prepare(self):
        make_directory(self.site.leader_file.parent)
        if not self.site.leader_file.exists():
            prefer(self.site, self.site.hosts[0])

    def daemon(self):
        members = [f"{host.name}={host.app_url}" for host in self.site.hosts]
        return Daemon(
            self.lab,
            f"{self.site.name}-leader",
            ["/usr/bin/python3", "-B", self.lab.programs / "leader.py", self.address, PORT, self.site.leader_file]
            + members,
        )


def prefer(site, host):
    """Makes a host the preferred leader of its site."""
    write_file(site.leader_file, host.name + "\n")


def ask(site):
    """What the cluster service answers; also when it answers that there is no leader."""
    try:
        with urllib.request.urlopen(site.leader_url, timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
