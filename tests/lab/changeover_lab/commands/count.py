"""`lab count`: what the servers of a site hold, asked from the servers themselves, as JSON."""

import concurrent.futures
import json

from changeover_lab.data import files, search, sql
from changeover_lab.layout import Lab
from changeover_lab.servers import redis


def run(directory, site, part):
    print(json.dumps(count(Lab.open(directory).site(site), part), indent=2, ensure_ascii=False))
    return 0


def count(site, part=None):
    """Everything, or one part: the others may not answer on a bad day."""
    parts = {"search": search.count, "sql": sql.count, "files": files.count, "redis": _redis}
    wanted = {name: measure for name, measure in parts.items() if part in (None, name)}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        # the others only wait for their server; files keep this process busy meanwhile
        begun = {name: pool.submit(measure, site) for name, measure in wanted.items() if name != "files"}
        in_files = {"files": files.count(site)} if "files" in wanted else {}
        found = {name: future.result() for name, future in begun.items()} | in_files
    return {"site": site.name} | {name: found[name] for name in wanted}


def _redis(site):
    return {"keys": redis.count_keys(site)}
