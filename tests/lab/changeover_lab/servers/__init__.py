"""The servers of a lab, one file per kind. `all_servers` lists them in the order in which they are started."""

from changeover_lab.errors import LabError
from changeover_lab.servers.app import App
from changeover_lab.servers.leader import LeaderService
from changeover_lab.servers.redis import Redis
from changeover_lab.servers.search import SearchNode
from changeover_lab.servers.sql import SqlServer
from changeover_lab.servers.sshd import SshServer


def all_servers(lab):
    """Every server of both sites; the slow ones first, so that the others start while those wake up."""
    servers = []
    for position in range(max(site.search_nodes for site in lab.sites)):
        servers += [SearchNode(site, position) for site in lab.sites if position < site.search_nodes]
    servers += [SqlServer(site) for site in lab.sites]
    for site in lab.sites:
        servers += [Redis(site, replica=False), Redis(site, replica=True), LeaderService(site)]
        for host in site.hosts:
            servers += [SshServer(host), App(host)]
    return servers


def find(lab, site_name, name):
    """The server called `name` at a site."""
    lab.site(site_name)
    names = []
    for server in all_servers(lab):
        if server.site.name == site_name:
            if server.name == name:
                return server
            names.append(server.name)
    raise LabError(
        f"looked for the service {name!r} at {site_name}",
        "there are " + ", ".join(names),
        "use one of these names",
    )
