"""`lab status`: what runs. Exit code 0 when everything does."""

import json

from changeover_lab.layout import Lab
from changeover_lab.servers import all_servers


def run(directory, as_json):
    lab = Lab.open(directory)
    rows = []
    for server in all_servers(lab):
        state, detail = server.state(), ""
        if state == "running":
            try:
                detail = server.probe() or ""
            except Exception as error:  # a server may fail in any way it likes
                detail = f"{type(error).__name__}: {error}"
            state = "not ready" if detail else state
        rows.append(
            {
                "site": server.site.name,
                "name": server.name,
                "state": state,
                "address": f"{server.address}:{server.port}",
                "pid": server.pid(),
                "log": str(server.log),
                "detail": detail,
            }
        )
    everything_runs = all(row["state"] == "running" for row in rows)
    if as_json:
        content = {
            "directory": str(lab.directory),
            "number": lab.number,
            "search": lab.choices.search,
            "sql": lab.choices.sql,
            "running": everything_runs,
            "services": rows,
        }
        print(json.dumps(content, indent=2))
    else:
        print(f"lab {lab.number}  {lab.choices.search} + {lab.choices.sql}  {lab.directory}")
        for row in rows:
            pid = row["pid"] or "-"
            print(f"{row['site']:5} {row['name']:14} {row['state']:10} {row['address']:20} {pid:>8}  {row['detail']}")
    return 0 if everything_runs else 1
