"""`lab churn`: writes orders through the application and keeps a ledger of those that were acknowledged.

The ledger is the truth a changeover is measured with: what is in it must be at the other site afterwards, or counts
as lost. So an order gets into the ledger only after the application has answered, and every line is flushed at once.
"""

import json
import random
import signal
import sys
import time
import urllib.error
import urllib.request

from changeover_lab.data.texts import phrase
from changeover_lab.errors import LabError
from changeover_lab.layout import Lab

ANSWER_SECONDS = 15


def run(directory, site, seconds, rate, ledger):
    if rate <= 0:
        raise LabError("started to write orders", f"a rate of {rate} per second", "use a rate above 0")
    site = Lab.open(directory).site(site)
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
    generator = random.Random()
    hosts = list(site.hosts)
    acknowledged = refused = 0
    deadline = time.monotonic() + seconds
    due = time.monotonic()
    with open(ledger, "a", encoding="utf-8") as book:
        while not stopped and time.monotonic() < deadline:
            host = generator.choice(hosts)
            try:
                order = place(host, generator)
            except (OSError, ValueError) as error:
                refused += 1
                print(f"not acknowledged by {site.name} {host.name}: {reason(error)}", file=sys.stderr)
                order = None
            if order is not None:
                acknowledged += 1
                entry = {
                    "time": time.time(),
                    "site": site.name,
                    "host": host.name,
                    "order": order["id"],
                    "index": order["index"],
                    "document": order["document"],
                    "file": order["file"],
                    "copies": order["copies"],
                }
                book.write(json.dumps(entry) + "\n")
                book.flush()
            # an order that took too long is not made up for by a burst
            due = max(due + 1 / rate, time.monotonic() - 1 / rate)
            wait(due, stopped)
    print(json.dumps({"site": site.name, "acknowledged": acknowledged, "refused": refused}))
    return 0


def place(host, generator):
    body = {"customer": phrase(generator, 2, 2), "item": phrase(generator), "note": phrase(generator)}
    request = urllib.request.Request(
        f"{host.app_url}/orders",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return json.load(answer)


def reason(error):
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.read().decode(errors='replace')[:300]}"
    return str(error)


def wait(due, stopped):
    """Sleeps in small steps, so that a signal ends it soon."""
    while not stopped and (left := due - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
