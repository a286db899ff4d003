"""What a lab consists of: its directory, its choices, its two sites, their hosts and addresses.

This file only knows names and paths. It starts nothing.
"""

import dataclasses
import json
import os
import pathlib

from changeover_lab.errors import LabError

SEARCH_FLAVOURS = ("opensearch", "es8", "es7", "es6")
SQL_FLAVOURS = ("mariadb", "mysql80", "mysql97")
HOST_NAMES = ("app1", "app2", "app3")

#: the user search, SQL and Redis servers run as, and the group that shares the exchange trees
SERVER_USER = "colab"
GROUP = "colab"
#: the user that logs in on the hosts and that the application runs as
LOGIN_USER = "colab-op"
LOGIN_HOME = "/home/colab-op"

#: the search user, where search wants to know who asks
SEARCH_ADMIN = "changeover"

#: SQL users, the same on both sites
SQL_ADMIN = "changeover"
SQL_APPLICATION = "shop"
DATABASE = "shop"


@dataclasses.dataclass(frozen=True)
class Choices:
    """Which servers a lab is made of."""

    search: str = "opensearch"
    sql: str = "mariadb"
    nodes: int = 1
    standby_nodes: int | None = None
    disks: bool = False
    tls: bool = False

    def problem(self):
        """Why these choices do not go together; None when they do."""
        if self.tls and self.search == "opensearch":
            return "--tls: this OpenSearch comes without the plugin that encrypts; choose --search es8, es7 or es6"
        if self.tls and self.sql == "mysql80":
            return "--tls: this MySQL 8.0 offers no elliptic curves; choose --sql mariadb or mysql97"
        return None

    def nodes_of(self, site_name):
        """How many search nodes a site has."""
        if site_name == "bcp" and self.standby_nodes is not None:
            return self.standby_nodes
        return self.nodes


def cache_directory():
    """Where downloads and the register of lab numbers live: outside of the repository."""
    override = os.environ.get("CHANGEOVER_LAB_CACHE")
    if override:
        return pathlib.Path(override).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base).absolute() / "changeover-lab"


def source_directory():
    """The directory `tests/lab`."""
    return pathlib.Path(__file__).resolve().parent.parent


def default_directory():
    """`target/lab/default` below the repository, or below CARGO_TARGET_DIR."""
    target = os.environ.get("CARGO_TARGET_DIR")
    target = pathlib.Path(target).absolute() if target else source_directory().parent.parent / "target"
    return target / "lab" / "default"


class Lab:
    """One lab: a directory, a number, and the choices it was created with."""

    def __init__(self, directory, number, choices):
        self.directory = pathlib.Path(directory)
        self.number = number
        self.choices = choices
        self.sites = (
            Site(self, "prod", "Production", 1),
            Site(self, "bcp", "Standby", 2),
        )

    # -- the file that makes a directory a lab

    @property
    def description(self):
        return self.directory / "lab.json"

    @classmethod
    def open(cls, directory):
        """The lab that lives in `directory`."""
        directory = pathlib.Path(directory).absolute()
        try:
            stored = json.loads((directory / "lab.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LabError(
                f"looked for a lab in {directory}",
                "there is no lab.json",
                f"create one with: lab --dir {directory} up",
            ) from None
        return cls(directory, stored["number"], Choices(**stored["choices"]))

    def save(self):
        content = {"number": self.number, "choices": dataclasses.asdict(self.choices)}
        self.description.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    # -- paths

    @property
    def run(self):
        """Pid files."""
        return self.directory / "run"

    @property
    def logs(self):
        return self.directory / "log"

    @property
    def secrets(self):
        return self.directory / "secrets"

    @property
    def ssh(self):
        return self.directory / "ssh"

    @property
    def tls(self):
        """The certificates of the servers, and of the authority that signed them."""
        return self.directory / "tls"

    @property
    def authority(self):
        return self.tls / "ca.pem"

    @property
    def programs(self):
        return self.directory / "bin"

    @property
    def templates(self):
        """Freshly initialised data directories, copied on every start from nothing."""
        return self.directory / "templates"

    @property
    def mounts(self):
        """Empty directories outside; inside a host's namespace, that host's own trees."""
        return self.directory / "mnt"

    @property
    def exchange_mount(self):
        return self.mounts / "exchange"

    @property
    def storage_mount(self):
        return self.mounts / "storage"

    @property
    def config_mount(self):
        return self.mounts / "config"

    @property
    def service_mount(self):
        return self.mounts / "service"

    @property
    def search_mount(self):
        """Where search nodes see their unpacked distribution."""
        return self.mounts / "search"

    @property
    def sql_mount(self):
        """Where SQL servers see their unpacked distribution."""
        return self.mounts / "sql"

    @property
    def sql_client_mount(self):
        """Where hosts see the client programs of their SQL server."""
        return self.mounts / "sql-client"

    @property
    def mount_points(self):
        return (
            self.exchange_mount,
            self.storage_mount,
            self.config_mount,
            self.service_mount,
            self.search_mount,
            self.sql_mount,
            self.sql_client_mount,
        )

    @property
    def sockets(self):
        """Unix sockets, in a short path: they may not be longer than 107 bytes."""
        return pathlib.Path("/run/changeover-lab") / str(self.number)

    @property
    def sql_programs(self):
        """`mysql`, `mysqldump` and `mysqlbinlog`, first in the PATH of the hosts; absent with MariaDB."""
        return self.directory / "sql-client"

    @property
    def restart_script(self):
        return self.programs / "restart-shop"

    @property
    def sudoers(self):
        return pathlib.Path("/etc/sudoers.d") / f"changeover-lab-{self.number}"

    # -- parts

    def site(self, name):
        for site in self.sites:
            if site.name == name:
                return site
        raise LabError(
            f"looked for the site {name!r}",
            "a lab has the sites " + ", ".join(site.name for site in self.sites),
            "use one of these names",
        )

    @property
    def hosts(self):
        return tuple(host for site in self.sites for host in site.hosts)

    def secret(self, name):
        return (self.secrets / name).read_text(encoding="utf-8").strip()


class Site:
    """One of the two sites."""

    def __init__(self, lab, name, title, position):
        self.lab = lab
        self.name = name
        self.title = title
        self.position = position
        self.directory = lab.directory / name
        self.search_nodes = lab.choices.nodes_of(name)
        self.hosts = tuple(Host(self, host, 11 + index) for index, host in enumerate(HOST_NAMES))

    def address(self, last):
        """`127.<number of the lab>.<position of the site>.<last>`"""
        return f"127.{self.lab.number}.{self.position}.{last}"

    @property
    def search_addresses(self):
        return [self.address(21 + index) for index in range(self.search_nodes)]

    @property
    def search_urls(self):
        scheme = "https" if self.lab.choices.tls else "http"
        return [f"{scheme}://{address}:9200" for address in self.search_addresses]

    @property
    def sql_address(self):
        return self.address(31)

    @property
    def sql_socket(self):
        return self.lab.sockets / f"{self.name}-sql"

    @property
    def redis_address(self):
        return self.address(41)

    @property
    def redis_replica_address(self):
        return self.address(42)

    @property
    def leader_address(self):
        return self.address(51)

    @property
    def leader_url(self):
        return f"http://{self.leader_address}:8500/leader"

    @property
    def leader_file(self):
        """Holds the name of the preferred leader."""
        return self.directory / "leader" / "preferred"

    @property
    def exchange(self):
        return self.directory / "exchange"

    def host(self, name):
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(
            f"looked for the host {name!r} at {self.name}",
            "a site has the hosts " + ", ".join(HOST_NAMES),
            "use one of these names",
        )


class Host:
    """One application host: an address and its own trees."""

    def __init__(self, site, name, last):
        self.site = site
        self.name = name
        self.address = site.address(last)
        self.directory = site.directory / name

    @property
    def storage(self):
        return self.directory / "storage"

    @property
    def config(self):
        return self.directory / "config"

    @property
    def service(self):
        """What `runsvdir` watches."""
        return self.directory / "service"

    @property
    def home(self):
        """The home directory of the login user on this host."""
        return self.directory / "home"

    @property
    def ssh(self):
        """The ssh server's own key and configuration."""
        return self.directory / "ssh"

    @property
    def app_url(self):
        return f"http://{self.address}:8080"
