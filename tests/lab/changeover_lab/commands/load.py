"""`lab load`: fills a site, all stores at the same time, each in a process of its own."""

import multiprocessing
import sys
import time
import traceback

from changeover_lab.data import files as file_data
from changeover_lab.data import search, sessions, sql
from changeover_lab.errors import LabError
from changeover_lab.install import say
from changeover_lab.layout import Lab
from changeover_lab.servers import find


def run(directory, site, documents, rows, files, seed):
    started = time.monotonic()
    site = Lab.open(directory).site(site)
    silent = [name for name in ("search", "sql", "redis") if find(site.lab, site.name, name).state() != "running"]
    if silent:
        raise LabError(f"looked for the servers of {site.name}", f"not running: {', '.join(silent)}", "use `lab up`")
    # forked: a lab is small, and two cores are used although Python has one lock
    context = multiprocessing.get_context("fork")
    work = [
        context.Process(name=name, target=_reporting, args=(function, *arguments))
        for name, function, arguments in (
            ("search", search.load, (site, documents, seed)),
            ("sql", sql.load, (site, rows, seed)),
            ("files", file_data.load, (site, files, seed)),
            ("sessions", sessions.load, (site,)),
        )
    ]
    for process in work:
        process.start()
    for process in work:
        process.join()
    failed = [process.name for process in work if process.exitcode != 0]
    if failed:
        raise LabError(
            f"filled {site.name}", f"failed: {', '.join(failed)} (see above)", "see `lab status`, then load again"
        )
    say(f"{site.name} is filled after {time.monotonic() - started:.0f} s")
    return 0


def _reporting(function, *arguments):
    try:
        function(*arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
