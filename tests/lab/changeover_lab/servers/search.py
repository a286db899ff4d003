"""Search clusters: OpenSearch and three generations of Elasticsearch, with one node or three per site."""

import base64
import hashlib
import json
import secrets
import shutil
import ssl
import urllib.request

from changeover_lab import install, namespaces
from changeover_lab.layout import GROUP, SEARCH_ADMIN, SERVER_USER
from changeover_lab.processes import Daemon
from changeover_lab.servers import authority
from changeover_lab.servers.base import Server, make_directory, write_file

HTTP_PORT = 9200
TRANSPORT_PORT = 9300

PROGRAM = {"opensearch": "opensearch", "es8": "elasticsearch", "es7": "elasticsearch", "es6": "elasticsearch"}

#: settings that only some generations know; an unknown setting keeps a node from starting
OWN_SETTINGS = {
    "opensearch": {},
    "es8": {"xpack.security.enabled": "false"},
    "es7": {},
    "es6": {
        "xpack.security.enabled": "false",
        "xpack.ml.enabled": "false",
        "xpack.watcher.enabled": "false",
        "xpack.monitoring.enabled": "false",
    },
}

#: with `--tls`; the files are looked for next to the settings
TLS_SETTINGS = {
    "xpack.security.enabled": "true",
    "xpack.security.http.ssl.enabled": "true",
    "xpack.security.http.ssl.certificate": "tls/server.pem",
    "xpack.security.http.ssl.key": "tls/server.key",
    "xpack.security.http.ssl.certificate_authorities": "tls/ca.pem",
    "xpack.security.transport.ssl.enabled": "true",
    "xpack.security.transport.ssl.verification_mode": "certificate",
    "xpack.security.transport.ssl.certificate": "tls/server.pem",
    "xpack.security.transport.ssl.key": "tls/server.key",
    "xpack.security.transport.ssl.certificate_authorities": "tls/ca.pem",
}

#: small, and quick to start on a machine with few cores
JVM_OPTIONS = """\
-Xms256m
-Xmx512m
-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-XX:ActiveProcessorCount=1
-Dfile.encoding=UTF-8
-Djava.awt.headless=true
-Dio.netty.allocator.type=unpooled
-Dio.netty.noUnsafe=true
-Dio.netty.noKeySetOptimization=true
-Dlog4j.shutdownHookEnabled=false
-Dlog4j2.disable.jmx=true
-Dlog4j2.formatMsgNoLookups=true
"""


class SearchNode(Server):
    """One node; the first one is called `search`, the others `search-2` and `search-3`."""

    ready_seconds = 120

    def __init__(self, site, position):
        name = "search" if position == 0 else f"search-{position + 1}"
        super().__init__(site, name, site.search_addresses[position], HTTP_PORT)
        self.position = position
        self.flavour = site.lab.choices.search
        self.directory = site.directory / name

    def prepare(self):
        make_directory(self.directory, SERVER_USER, GROUP)
        for part in ("data", "logs", "tmp"):
            make_directory(self.directory / part, SERVER_USER, GROUP)
        config = self.directory / "config"
        if not config.exists():
            shutil.copytree(install.search_home(self.flavour) / "config", config)
            for path in (config, *config.rglob("*")):
                shutil.chown(path, SERVER_USER, GROUP)
        settings = "".join(f"{key}: {value}\n" for key, value in self._settings().items())
        write_file(config / f"{PROGRAM[self.flavour]}.yml", settings, SERVER_USER, GROUP)
        if self.lab.choices.tls:
            authority.certificate(self, config / "tls", SERVER_USER, GROUP)
            users = {"users": f"{SEARCH_ADMIN}:{digest(self.lab.secret('search'))}\n"}
            users["users_roles"] = f"superuser:{SEARCH_ADMIN}\n"
            for name, text in users.items():
                write_file(config / name, text, SERVER_USER, GROUP, 0o640)
        # es8 lets nobody keep its program below its temporary directory, which a lab below /tmp would do
        options = f"{JVM_OPTIONS}-Djava.io.tmpdir={self.directory / 'tmp'}\n"
        write_file(config / "jvm.options", options, SERVER_USER, GROUP)

    def _settings(self):
        lab, site = self.lab, self.site
        old = self.flavour == "es6"
        settings = {
            "cluster.name": f"lab-{lab.number}-{site.name}",
            "node.name": f"{site.name}-{self.name}",
            "path.data": self._quoted(self.directory / "data"),
            "path.logs": self._quoted(self.directory / "logs"),
            # the second one is the same tree under the name it has outside of the namespace
            "path.repo": f"[{self._quoted(lab.exchange_mount)}, {self._quoted(site.exchange)}]",
            "network.host": self.address,
            "http.port": HTTP_PORT,
            "transport.tcp.port" if old else "transport.port": TRANSPORT_PORT,
            # the lab must work on a disk that is nearly full
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **OWN_SETTINGS[self.flavour],
            **(TLS_SETTINGS if lab.choices.tls else {}),
        }
        if site.search_nodes == 1:
            settings["discovery.type"] = "single-node"
            return settings
        seeds = json.dumps([f"{address}:{TRANSPORT_PORT}" for address in site.search_addresses])
        names = json.dumps([SearchNode(site, position).node_name for position in range(site.search_nodes)])
        if old:
            settings["discovery.zen.ping.unicast.hosts"] = seeds
            settings["discovery.zen.minimum_master_nodes"] = site.search_nodes // 2 + 1
        elif self.flavour == "opensearch":
            settings["discovery.seed_hosts"] = seeds
            settings["cluster.initial_cluster_manager_nodes"] = names
        else:
            settings["discovery.seed_hosts"] = seeds
            settings["cluster.initial_master_nodes"] = names
        return settings

    @property
    def node_name(self):
        return f"{self.site.name}-{self.name}"

    @staticmethod
    def _quoted(path):
        return json.dumps(str(path), ensure_ascii=False)

    def daemon(self):
        mount = self.lab.search_mount
        program = PROGRAM[self.flavour]
        java = str(install.java_home())
        prefix = "OPENSEARCH" if self.flavour == "opensearch" else "ES"
        return Daemon(
            self.lab,
            f"{self.site.name}-{self.name}",
            [mount / "bin" / program],
            binds=[*namespaces.of_site(self.site), (install.search_home(self.flavour), mount)],
            user=SERVER_USER,
            env={
                "JAVA_HOME": java,
                f"{prefix}_JAVA_HOME": java,
                f"{prefix}_PATH_CONF": str(self.directory / "config"),
                f"{prefix}_TMPDIR": str(self.directory / "tmp"),
                f"{prefix}_JAVA_OPTS": "-XX:-AlwaysPreTouch",
                # for the small Java programs that the start script runs before the server
                "CLI_JAVA_OPTS": "-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
                "HOME": str(self.directory),
            },
        )

    def probe(self):
        """Ready is a node that has found all running nodes of its site and has looked after their shards."""
        siblings = [SearchNode(self.site, position) for position in range(self.site.search_nodes)]
        expected = sum(node.daemon().pid is not None for node in siblings)
        url = f"{self.site.search_urls[self.position]}/_cluster/health?local=true"
        with opened(self.lab, urllib.request.Request(url), timeout=3) as answer:
            health = json.load(answer)
        if health["number_of_nodes"] < expected:
            return f"{health['number_of_nodes']} of {expected} nodes have joined"
        # an index that stays red is the business of whoever broke it; one that is being opened soon changes
        busy = ("initializing_shards", "number_of_in_flight_fetch", "number_of_pending_tasks")
        shards = health["active_shards"] + health["unassigned_shards"]
        if health["status"] == "red" and (any(health[key] for key in busy) or shards == 0):
            return "the cluster is red"
        return None


def opened(lab, request, timeout):
    """The answer to a request, asked in the way that the nodes of this lab want it."""
    if not lab.choices.tls:
        return urllib.request.urlopen(request, timeout=timeout)
    word = base64.b64encode(f"{SEARCH_ADMIN}:{lab.secret('search')}".encode()).decode()
    request.add_header("Authorization", f"Basic {word}")
    trusted = ssl.create_default_context(cafile=str(lab.authority))
    return urllib.request.urlopen(request, timeout=timeout, context=trusted)


def digest(password):
    """A password as Elasticsearch keeps it in a file, in the one form that Python makes without help."""
    salt, rounds = secrets.token_bytes(32), 10_000
    made = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, 32)
    salt, made = (base64.b64encode(part).decode() for part in (salt, made))
    return f"{{PBKDF2}}{rounds}${salt}${made}"
