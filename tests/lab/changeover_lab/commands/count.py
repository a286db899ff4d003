"""`lab count`: what the servers of a site hold, asked from the servers themselves, as JSON."""

import concurrent.futures
import json

from changeover_lab.data import files, search, sql
from changeover_lab.layout import Lab
from changeover_lab.servers import redis


def run(directory, site):
    print(json.dumps(count(Lab.open(directory).site(site)), indent=2, ensure_ascii=False))
    return 0


def count(site):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        # these two only wait for their server; files keep this process busy meanwhile
        in_search, in_sql = pool.submit(search.count, site), pool.submit(sql.count, site)
        in_files = files.count(site)
        return {
            "site": site.name,
            "search": in_search.result(),
            "sql": in_sql.result(),
            "files": in_files,
            "redis": {"keys": redis.count_keys(site)},
        }
