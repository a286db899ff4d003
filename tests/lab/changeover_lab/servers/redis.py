"""Redis: one leader and one replica per site. It is a cache, so nothing is written to disk."""

import redis

from changeover_lab.errors import LabError
from changeover_lab.layout import GROUP, SERVER_USER
from changeover_lab.processes import Daemon
from changeover_lab.servers.base import Server, make_directory

PORT = 6379


class Redis(Server):
    """`redis`, or `redis-replica` that follows it."""

    def __init__(self, site, replica):
        self.replica = replica
        name = "redis-replica" if replica else "redis"
        super().__init__(site, name, site.redis_replica_address if replica else site.redis_address, PORT)
        self.directory = site.directory / name

    def prepare(self):
        make_directory(self.directory, SERVER_USER, GROUP)

    def daemon(self):
        argv = [
            "/usr/bin/redis-server", "--port", PORT, "--bind", self.address, "--dir", self.directory,
            "--save", "", "--protected-mode", "no", "--daemonize", "no", "--repl-diskless-sync-delay", "0",
        ]  # fmt: skip
        if self.replica:
            argv += ["--replicaof", self.site.redis_address, PORT]
        return Daemon(self.lab, f"{self.site.name}-{self.name}", argv, user=SERVER_USER)

    def probe(self):
        with redis.Redis(self.address, PORT, socket_timeout=2) as client:
            information = client.info("replication")
        if self.replica and information["master_link_status"] != "up":
            return "the replica has no link to its leader"
        return None


def count_keys(site):
    try:
        with redis.Redis(site.redis_address, PORT, socket_timeout=5) as client:
            return client.dbsize()
    except redis.RedisError as error:
        raise LabError(f"counted in Redis at {site.redis_address}", str(error), "see `lab status`") from None
