"""`lab up`: creates the lab when there is none, and starts what does not run."""

import os
import pathlib
import secrets
import shutil
import subprocess
import time

from changeover_lab import disks, install, layout, numbers
from changeover_lab.errors import LabError, NotPossibleHere
from changeover_lab.install import say
from changeover_lab.layout import GROUP, Choices, Lab
from changeover_lab.servers import all_servers, authority, sql
from changeover_lab.servers.app import restart_script
from changeover_lab.servers.base import make_directory, write_file
from changeover_lab.servers.search import SearchNode
from changeover_lab.servers.sql import SqlServer
from changeover_lab.servers.sshd import prepare_access, prepare_home
from changeover_lab.waiting import wait_until


def run(directory, wanted):
    """`wanted`: the choices given on the command line, by name."""
    started = time.monotonic()
    lab = create_or_open(directory, wanted)
    count = start(lab)
    seconds = time.monotonic() - started
    if count:
        say(f"lab {lab.number} is up after {seconds:.0f} s: {lab.directory}")
    else:
        say(f"lab {lab.number} runs already: {lab.directory}")
    return 0


def create_or_open(directory, wanted):
    directory = pathlib.Path(directory).absolute()
    if (directory / "lab.json").exists():
        lab = Lab.open(directory)
        different = {key: value for key, value in wanted.items() if getattr(lab.choices, key) != value}
        if different:
            raise LabError(
                f"opened the lab in {directory} with {different}",
                f"it was created with {lab.choices}",
                "use `lab reset` with these options (it wipes all data), or another --dir",
            )
        install.install(lab.choices)
        return lab
    choices = fitting(Choices(**wanted))
    install.install(choices)
    directory.mkdir(parents=True, exist_ok=True)
    lab = Lab(directory, numbers.claim(directory), choices)
    lab.save()
    return lab


def fitting(choices):
    """The choices, if they go together."""
    problem = choices.problem()
    if problem is not None:
        raise LabError("looked whether the choices go together", problem, "choose others")
    return choices


def start(lab):
    """Starts what is missing and waits until everything answers; returns how many servers were started."""
    prepare(lab)
    servers = all_servers(lab)
    check_ports(servers)
    # the slow ones wake up while the data directory of the SQL servers is made
    begun = [server for server in servers if isinstance(server, SearchNode) and server.start()]
    sql.initialise(lab)
    begun += [server for server in servers if not isinstance(server, SearchNode) and server.start()]
    # users before anything that logs in
    for server in sorted(servers, key=lambda server: not isinstance(server, SqlServer)):
        wait_ready(server)
    return len(begun)


def wait_ready(server):
    wait_until(
        f"{server.title} at {server.address}:{server.port}",
        server.probe,
        server.ready_seconds,
        log=server.log,
        alive=lambda: server.daemon().pid is not None,
    )
    server.after_ready()


def prepare(lab):
    """Directories, keys, passwords, programs: all that is there before the first server starts."""
    make_directory(lab.directory)
    check_reachable(lab.directory)
    for path in (lab.run, lab.logs, lab.programs, lab.mounts, *lab.mount_points):
        make_directory(path)
    make_directory(lab.sockets, layout.SERVER_USER, GROUP)
    make_directory(lab.secrets, mode=0o700)
    for name in ("sql", "sql-application", "search"):
        if not (lab.secrets / name).exists():
            write_file(lab.secrets / name, secrets.token_urlsafe(18) + "\n", mode=0o600)
    for program in ("shop.py", "leader.py"):
        # a copy: the login user may not be able to read the repository
        content = (layout.source_directory() / "app" / program).read_text(encoding="utf-8")
        write_file(lab.programs / program, content)
    write_file(lab.restart_script, restart_script(lab), mode=0o755)
    allow_restart(lab)
    disks.mount_all(lab)
    for site in lab.sites:
        make_directory(site.directory)
        make_directory(site.exchange, layout.LOGIN_USER, GROUP, 0o2775)
        for host in site.hosts:
            make_directory(host.directory)
            # every server of the host binds them, so they are there before the first one starts
            for tree in (host.storage, host.config):
                if not tree.exists() or tree.is_mount():
                    make_directory(tree, layout.LOGIN_USER, GROUP, 0o2775)
            make_directory(host.service)
    prepare_access(lab)
    authority.prepare(lab)
    sql.prepare_client(lab)
    for host in lab.hosts:
        prepare_home(host)


def allow_restart(lab):
    """The login user may run the restart script as root, and nothing else."""
    script = str(lab.restart_script)
    for character in '\\ ,:="':
        script = script.replace(character, "\\" + character)
    rule = f'{layout.LOGIN_USER} ALL=(root) NOPASSWD: {script} ""\n'
    # sudo ignores names with a dot: the check is done before the rule counts
    candidate = lab.sudoers.with_name(lab.sudoers.name + ".check")
    write_file(candidate, rule, mode=0o440)
    done = subprocess.run(["visudo", "-cqf", str(candidate)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        candidate.unlink()
        raise LabError(
            f"checked a sudo rule for {lab.restart_script}",
            (done.stdout + done.stderr).strip(),
            "choose a --dir without unusual characters",
        )
    os.rename(candidate, lab.sudoers)


def check_reachable(directory):
    """The servers do not run as root: every directory on the way must let other users through."""
    for path in (directory, *directory.parents):
        if not path.stat().st_mode & 0o001:
            raise NotPossibleHere(
                f"checked that the users {layout.SERVER_USER} and {layout.LOGIN_USER} can reach {directory}",
                f"{path} does not let other users through",
                "choose another place with --dir, for example below /var/tmp",
            )


def check_ports(servers):
    """A server that listens on all addresses of the machine occupies the port on the lab's addresses as well."""
    ports = {server.port for server in servers} | {9300}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as lines:
            for fields in (line.split() for line in list(lines)[1:]):
                address, _, port = fields[1].rpartition(":")
                if fields[3] == "0A" and set(address) == {"0"} and int(port, 16) in ports:
                    raise NotPossibleHere(
                        f"checked that port {int(port, 16)} is free",
                        "a program of this machine listens there on all addresses",
                        f"stop it, or let it listen on one address only (find it: ss -ltnp 'sport = :{int(port, 16)}')",
                    )


def wipe(lab):
    """Removes all data, the templates excepted: they are as good as new."""
    for site in lab.sites:
        shutil.rmtree(site.directory, ignore_errors=True)
    for path in (lab.run, lab.logs, lab.secrets, lab.ssh, lab.tls, lab.programs, lab.mounts):
        shutil.rmtree(path, ignore_errors=True)
