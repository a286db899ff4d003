"""The command line of the lab: reads arguments, calls one command, turns errors into words and exit codes."""

import argparse
import contextlib
import fcntl
import pathlib
import sys

from changeover_lab import layout
from changeover_lab.errors import LabError

CHOICE_OPTIONS = ("search", "sql", "nodes", "standby_nodes", "disks", "tls")


def main():
    arguments = parser().parse_args()
    try:
        return arguments.run(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.exit_code
    except PermissionError as error:
        print(f"lab: {error}\n  what to do: run the lab as root", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141


def parser():
    # the options are accepted before and after the command; without SUPPRESS the second would erase the first
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--dir", type=pathlib.Path, help="where the lab lives (default: target/lab/default)")
    choices = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    choices.add_argument("--search", choices=layout.SEARCH_FLAVOURS, help="search servers (default: opensearch)")
    choices.add_argument("--sql", choices=layout.SQL_FLAVOURS, help="SQL servers (default: mariadb)")
    choices.add_argument("--nodes", type=int, choices=(1, 3), help="search nodes per site (default: 1)")
    choices.add_argument("--standby-nodes", type=int, choices=(1, 3), help="search nodes at bcp, when different")
    choices.add_argument("--disks", action="store_true", help="disks of their own under the trees, see `disk`")
    choices.add_argument("--tls", action="store_true", help="search and SQL encrypted only, with an authority of the lab")

    top = argparse.ArgumentParser(
        prog="lab",
        description="Two complete sites, prod and bcp, made of real servers on this machine, for integration tests.",
        epilog="`lab COMMAND --help` tells more.",
        parents=[common, choices],
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, run, text, parents=(common,)):
        command = commands.add_parser(name, help=text, description=text, parents=list(parents))
        command.set_defaults(run=run)
        return command

    add("install", run_install, "install packages and fetch downloads, start nothing", (common, choices))
    add("up", run_up, "create the lab when there is none, start what does not run", (common, choices))
    add("down", run_down, "end what `up` started; all data stays")
    add("reset", run_reset, "stop, wipe all data, start fresh; other servers may be chosen", (common, choices))

    status = add("status", run_status, "what runs; exit code 0 when everything does")
    status.add_argument("--json", action="store_true", help="as JSON")

    service = add("service", run_service, "stop, start, kill, pause or resume one server")
    service.add_argument("action", choices=("stop", "start", "kill", "pause", "resume"))
    service.add_argument("site", help="prod or bcp")
    service.add_argument("name", help="search, search-2, sql, redis, redis-replica, leader, app@HOST or sshd@HOST")

    disk = add("disk", run_disk, "fill, free or show a disk of a lab that was created with --disks")
    disk.add_argument("action", choices=("fill", "free", "show"))
    disk.add_argument("site", help="prod or bcp")
    disk.add_argument("name", help="exchange, search, sql, or a host's storage: app1, app2, app3")
    disk.add_argument("--leave", type=natural, default=0, help="how many bytes stay free (default: none)")

    leader = add("leader", run_leader, "which application host leads a site; with HOST, prefer that one")
    leader.add_argument("site", help="prod or bcp")
    leader.add_argument("host", nargs="?", help="app1, app2 or app3")

    estate = add("estate", run_estate, "print the estate.toml of this lab")
    estate.add_argument("--via", choices=("port", "tunnel", "ssh"), default="ssh", help="how SQL is reached")
    estate.add_argument(
        "--local-paths", action="store_true", help="name the exchange trees as they are outside of the hosts"
    )

    load = add("load", run_load, "fill a site with data, directly in its servers")
    load.add_argument("--site", default="prod", help="prod (default) or bcp")
    load.add_argument("--documents", type=natural, default=50_000)
    load.add_argument("--rows", type=natural, default=200_000)
    load.add_argument("--files", type=natural, default=5_000)
    load.add_argument("--seed", type=int, default=1, help="the same seed gives the same data (default: 1)")

    churn = add("churn", run_churn, "write through the application and keep a ledger of what was acknowledged")
    churn.add_argument("--site", default="prod", help="prod (default) or bcp")
    churn.add_argument("--seconds", type=float, required=True, help="how long")
    churn.add_argument("--rate", type=float, default=10, help="orders per second (default: 10)")
    churn.add_argument("--ledger", type=pathlib.Path, required=True, help="file the acknowledged orders are added to")

    count = add("count", run_count, "what the servers of a site hold, with checksums, as JSON")
    count.add_argument("site", help="prod or bcp")
    count.add_argument("part", nargs="?", choices=("search", "sql", "files", "redis"), help="only this one")
    return top


def natural(text):
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


def directory(arguments):
    return getattr(arguments, "dir", None) or layout.default_directory()


def wanted(arguments):
    """The choices that were given, by name."""
    return {name: getattr(arguments, name) for name in CHOICE_OPTIONS if hasattr(arguments, name)}


# The commands are imported when they run: their imports need packages that `install` has not installed yet.


@contextlib.contextmanager
def locked(arguments):
    """Commands that start and end servers of the same lab wait for each other."""
    path = directory(arguments).absolute()
    if not path.is_dir():
        yield  # no lab, nothing to protect
        return
    with open(path / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_install(arguments):
    from changeover_lab import install

    install.install(layout.Choices(**wanted(arguments)))
    return 0


def run_up(arguments):
    ensure_packages(arguments)
    from changeover_lab.commands import up

    directory(arguments).mkdir(parents=True, exist_ok=True)
    with locked(arguments):
        return up.run(directory(arguments), wanted(arguments))


def ensure_packages(arguments):
    from changeover_lab import install

    stored = {}
    if (directory(arguments) / "lab.json").exists():
        stored = vars(layout.Lab.open(directory(arguments)).choices)
    install.install(layout.Choices(**{**stored, **wanted(arguments)}))


def run_down(arguments):
    ensure_packages(arguments)
    from changeover_lab.commands import down

    with locked(arguments):
        return down.run(directory(arguments))


def run_reset(arguments):
    ensure_packages(arguments)
    from changeover_lab.commands import reset

    with locked(arguments):
        return reset.run(directory(arguments), wanted(arguments))


def run_status(arguments):
    from changeover_lab.commands import status

    return status.run(directory(arguments), arguments.json)


def run_service(arguments):
    from changeover_lab.commands import service

    with locked(arguments):
        return service.run(directory(arguments), arguments.action, arguments.site, arguments.name)


def run_disk(arguments):
    from changeover_lab.commands import disk

    return disk.run(directory(arguments), arguments.action, arguments.site, arguments.name, arguments.leave)


def run_leader(arguments):
    from changeover_lab.commands import leader

    return leader.run(directory(arguments), arguments.site, arguments.host)


def run_estate(arguments):
    from changeover_lab.commands import estate

    return estate.run(directory(arguments), arguments.via, arguments.local_paths)


def run_load(arguments):
    from changeover_lab.commands import load

    return load.run(
        directory(arguments), arguments.site, arguments.documents, arguments.rows, arguments.files, arguments.seed
    )


def run_churn(arguments):
    from changeover_lab.commands import churn

    return churn.run(directory(arguments), arguments.site, arguments.seconds, arguments.rate, arguments.ledger)


def run_count(arguments):
    from changeover_lab.commands import count

    return count.run(directory(arguments), arguments.site, arguments.part)
