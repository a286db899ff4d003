"""SQL servers: MariaDB of the distribution, Oracle's MySQL 8.0.15 and a current MySQL 9."""

import shutil
import subprocess

import pymysql

from changeover_lab import install, namespaces
from changeover_lab.layout import DATABASE, GROUP, SERVER_USER, SQL_ADMIN, SQL_APPLICATION
from changeover_lab.processes import Daemon
from changeover_lab.servers import authority
from changeover_lab.servers.base import Server, make_directory, write_file
from changeover_lab.waiting import failure

PORT = 3306

COMMON_OPTIONS = [
    f"--port={PORT}",
    "--character-set-server=utf8mb4",
    "--event-scheduler=ON",
    "--skip-name-resolve",
    "--log-bin=bin",
    "--binlog-format=ROW",
    "--log-bin-trust-function-creators=ON",
    "--max-allowed-packet=64M",
    "--max-connections=200",
    "--innodb-buffer-pool-size=96M",
    # a lab may lose its last second when the machine loses power
    "--innodb-flush-log-at-trx-commit=2",
    "--sync-binlog=0",
    "--innodb-flush-method=O_DIRECT",
]
MARIADB_OPTIONS = ["--log-slave-updates=ON", "--gtid-strict-mode=ON"]
#: with `--tls`; sessions over the socket count as safe
TLS_OPTIONS = ["--require-secure-transport=ON"]
MYSQL_OPTIONS = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--performance-schema=OFF", "--mysqlx=OFF"]


class SqlServer(Server):
    """The SQL server of a site."""

    ready_seconds = 60

    def __init__(self, site):
        super().__init__(site, "sql", site.sql_address, PORT)
        self.flavour = site.lab.choices.sql
        self.directory = site.directory / "sql"
        self.data = self.directory / "data"

    def prepare(self):
        make_directory(self.directory, SERVER_USER, GROUP)
        if self.lab.choices.tls:
            authority.certificate(self, self.directory / "tls", SERVER_USER, GROUP)
        if self.data.exists():
            return
        template = initialise(self.lab)
        coming = self.directory / "coming"
        shutil.rmtree(coming, ignore_errors=True)
        # on a disk that can be full, what the server has reserved for its logs must really be there
        holes = "never" if self.lab.choices.disks else "auto"
        subprocess.run(["cp", "-a", f"--sparse={holes}", "--", str(template), str(coming)], check=True)
        coming.rename(self.data)

    def daemon(self):
        options = [
            *COMMON_OPTIONS,
            f"--datadir={self.data}",
            f"--socket={self.site.sql_socket}",
            f"--pid-file={self.directory / 'pid'}",
            f"--bind-address={self.address}",
            f"--server-id={self.site.position}",
            *self._own_options(),
            *self._tls_options(),
        ]
        return Daemon(
            self.lab,
            f"{self.site.name}-sql",
            [*program(self.lab), *options],
            binds=[*namespaces.of_site(self.site), *program_binds(self.lab)],
            user=SERVER_USER,
        )

    def _tls_options(self):
        if not self.lab.choices.tls:
            return []
        files = {"ca": "ca.pem", "cert": "server.pem", "key": "server.key"}
        return [*TLS_OPTIONS, *(f"--ssl-{key}={self.directory / 'tls' / file}" for key, file in files.items())]

    def _own_options(self):
        if self.flavour == "mariadb":
            return [*MARIADB_OPTIONS, f"--gtid-domain-id={self.site.position}"]
        if self.flavour == "mysql80":
            return MYSQL_OPTIONS
        return [*MYSQL_OPTIONS, "--secure-file-priv=", f"--plugin-dir={self.lab.sql_mount}/usr/lib/mysql/plugin"]

    def probe(self):
        with self._as_root() as connection:
            connection.ping()

    def after_ready(self):
        """The users and the database, left out of the binary log: each site has its own."""
        with self._as_root() as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            for user, scope in ((SQL_ADMIN, "*.*"), (SQL_APPLICATION, f"`{DATABASE}`.*")):
                password = self.lab.secret("sql" if user == SQL_ADMIN else "sql-application")
                cursor.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (user, password))
                grant = f"GRANT ALL PRIVILEGES ON {scope} TO %s@'%%'"
                cursor.execute(grant + (" WITH GRANT OPTION" if user == SQL_ADMIN else ""), (user,))
            cursor.execute("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", (DATABASE,))
            if self._is_new() and cursor.fetchone()[0] == 0:
                cursor.execute(f"CREATE DATABASE `{DATABASE}` CHARACTER SET utf8mb4")
        (self.directory / "initialised").touch()

    def _is_new(self):
        """Whether the database was never created: one that a test dropped is not brought back."""
        return not (self.directory / "initialised").exists()

    def _as_root(self):
        return pymysql.connect(unix_socket=str(self.site.sql_socket), user="root", connect_timeout=3, charset="utf8mb4")


def connect(site, database=DATABASE, **options):
    """A connection as the administrator, over the network as the program has it."""
    if site.lab.choices.tls:
        options["ssl"] = {"ca": str(site.lab.authority)}
    return pymysql.connect(
        host=site.sql_address,
        port=PORT,
        user=SQL_ADMIN,
        password=site.lab.secret("sql"),
        database=database,
        charset="utf8mb4",
        connect_timeout=5,
        **options,
    )


def program(lab):
    """The command that runs the server of the lab's flavour, as seen in its namespace."""
    mount = lab.sql_mount
    if lab.choices.sql == "mariadb":
        return ["/usr/sbin/mariadbd", "--no-defaults"]
    if lab.choices.sql == "mysql80":
        return [
            f"{mount}/bin/mysqld", "--no-defaults",
            f"--basedir={mount}", f"--lc-messages-dir={mount}/share",
        ]  # fmt: skip
    return [
        *through_own_loader(mount), f"{mount}/usr/sbin/mysqld", "--no-defaults",
        f"--basedir={mount}/usr", f"--lc-messages-dir={mount}/usr/share/mysql",
        f"--character-sets-dir={mount}/usr/share/mysql/charsets",
    ]  # fmt: skip


def through_own_loader(tree):
    """The words before a program of a newer Debian release: it runs with the libraries of that release."""
    libraries = f"{tree}/usr/lib/{install.multiarch()}"
    loader = next(iter((install.sql_home("mysql97") / "usr/lib" / install.multiarch()).glob("ld-linux*")))
    return [f"{libraries}/{loader.name}", "--library-path", libraries]


def prepare_client(lab):
    """The client programs of MySQL, for the hosts and, for whoever puts them in the PATH, for this machine."""
    outside = install.sql_client_home(lab.choices.sql)
    if outside is None:
        shutil.rmtree(lab.sql_programs, ignore_errors=True)
        return
    make_directory(lab.sql_programs)
    command = " ".join(f'"{word}"' for word in through_own_loader("$tree"))
    for name in ("mysql", "mysqldump", "mysqlbinlog"):
        write_file(
            lab.sql_programs / name,
            f"""\
#!/bin/sh
# {name} of a newer Debian release, with the libraries of that release.
tree='{lab.sql_client_mount}'
[ -d "$tree/usr" ] || tree='{outside}'
exec {command} "$tree/usr/bin/{name}" "$@"
""",
            mode=0o755,
        )


def program_binds(lab):
    home = install.sql_home(lab.choices.sql)
    return [] if home is None else [(home, lab.sql_mount)]


def initialise(lab):
    """A fresh data directory of the lab's flavour, made once per lab."""
    template = lab.templates / f"sql-{lab.choices.sql}"
    if template.exists():
        return template
    coming = lab.templates / "coming"
    shutil.rmtree(coming, ignore_errors=True)
    make_directory(lab.templates)
    make_directory(coming, SERVER_USER, GROUP, 0o700)
    data = coming / "data"
    if lab.choices.sql == "mariadb":
        argv = [
            "/usr/bin/mariadb-install-db", "--no-defaults", f"--datadir={data}",
            # --force: also where the machine's own name cannot be looked up
            "--auth-root-authentication-method=normal", "--skip-test-db", "--force",
        ]  # fmt: skip
    else:
        argv = [*program(lab), "--initialize-insecure", f"--datadir={data}"]
    argv = namespaces.command(program_binds(lab), SERVER_USER, argv)
    log = lab.logs / "sql-initialise.log"
    with open(log, "wb") as output:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=lab.directory, check=False
        )
    if done.returncode != 0:
        raise failure(f"initialised a data directory of {lab.choices.sql}", f"exit code {done.returncode}", log)
    # the identity of a server must not be copied
    (data / "auto.cnf").unlink(missing_ok=True)
    data.rename(template)
    shutil.rmtree(coming)
    return template
