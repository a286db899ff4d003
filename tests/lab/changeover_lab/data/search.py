"""Search data: six indices with aliases, made from templates, filled by bulk requests."""

import json
import random
import urllib.error
import urllib.parse
import urllib.request

from changeover_lab.data.texts import FOREIGN, HOSTILE, WORDS, phrase
from changeover_lab.errors import LabError
from changeover_lab.servers.search import opened

BULK = 2_500

#: index -> (share of the documents in percent, shards, aliases)
INDICES = {
    "catalogue-v1": (40, 2, {"catalogue": {}}),
    "articles-2025": (15, 1, {"articles": {}}),
    "articles-2026": (15, 1, {"articles": {"is_write_index": True}}),
    "events-000001": (20, 1, {"events": {"is_write_index": True}}),
    "people": (8, 1, {"people-active": {"filter": {"term": {"active": True}}}, "people-all": {}}),
    # a name that has to be escaped in a URL
    "notes-größe+1": (2, 1, {"notes": {"routing": "1"}}),
}

PROPERTIES = {
    "title": {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 500}}},
    "body": {"type": "text"},
    "tags": {"type": "keyword"},
    "price": {"type": "double"},
    "amount": {"type": "long"},
    "active": {"type": "boolean"},
    "created": {"type": "date"},
    "place": {"type": "geo_point"},
    "blob": {"type": "binary"},
    "parts": {"type": "nested", "properties": {"name": {"type": "keyword"}, "count": {"type": "integer"}}},
}


def load(site, documents, seed):
    """Replaces what an earlier load has stored."""
    old = site.lab.choices.search == "es6"
    for name in INDICES:
        ask(site, "DELETE", f"/{quoted(name)}", missing_is_fine=True)
    put_templates(site, old)
    generator = random.Random(f"search {seed}")
    left = documents
    for position, (name, (share, shards, aliases)) in enumerate(INDICES.items()):
        amount = left if position == len(INDICES) - 1 else documents * share // 100
        left -= amount
        aliases = {
            alias: {key: value for key, value in options.items() if not (old and key == "is_write_index")}
            for alias, options in aliases.items()
        }
        ask(site, "PUT", f"/{quoted(name)}", {"settings": {"number_of_shards": shards}, "aliases": aliases})
        fill(site, name, amount, generator, old)
    ask(site, "POST", "/_refresh")


def put_templates(site, old):
    """One template for all of these indices, and one that nothing uses yet. Replicas need a second node."""
    settings = {"number_of_replicas": 0 if site.search_nodes == 1 else 1}
    patterns = [f"{name.split('-')[0]}*" for name in INDICES]
    wanted = {
        "lab-content": (sorted(set(patterns)), settings, {"properties": PROPERTIES}),
        "lab-spare": (["spare-*"], {**settings, "refresh_interval": "30s"}, {"dynamic": "strict"}),
    }
    for name, (patterns, settings, mappings) in wanted.items():
        if old:
            body = {"index_patterns": patterns, "settings": settings, "mappings": {"_doc": mappings}}
            ask(site, "PUT", f"/_template/{name}", body)
        else:
            body = {
                "index_patterns": patterns,
                "priority": 200,
                "template": {"settings": settings, "mappings": mappings},
                "_meta": {"purpose": "lab"},
            }
            ask(site, "PUT", f"/_index_template/{name}", body)


def fill(site, name, amount, generator, old):
    action = {"_type": "_doc"} if old else {}
    for start in range(0, amount, BULK):
        lines = []
        for number in range(start, min(start + BULK, amount)):
            lines.append(json.dumps({"index": {"_id": document_id(number), **action}}))
            lines.append(json.dumps(document(number, generator), ensure_ascii=number % 2 == 0))
        answer = ask(site, "POST", f"/{quoted(name)}/_bulk", ("\n".join(lines) + "\n").encode())
        if answer["errors"]:
            first = next(item["index"] for item in answer["items"] if "error" in item["index"])
            raise LabError(f"stored documents in {name}", json.dumps(first), "read the error; the data is fixed")


def document_id(number):
    """Mostly plain; some have to be escaped in a URL."""
    return f"{number}/{FOREIGN[number % len(FOREIGN)]} %+?#" if number % 1000 == 7 else str(number)


def document(number, generator):
    content = {
        "title": phrase(generator),
        "body": " ".join(generator.choices(WORDS, k=generator.randint(5, 30))),
        "tags": generator.choices(WORDS, k=2),
        "price": round(generator.random() * 1000, 2),
        "amount": generator.getrandbits(40),
        "active": generator.random() < 0.7,
        "created": 1_700_000_000_000 + number * 60_000,
    }
    if number % 10 == 0:
        content["place"] = {"lat": generator.uniform(-90, 90), "lon": generator.uniform(-180, 180)}
        content["parts"] = [{"name": word, "count": number % 7} for word in content["tags"]]
    if number % 50 == 0:
        content["title"] = HOSTILE[number // 50 % len(HOSTILE)]
        content["body"] = None
        content["blob"] = "AAECAwQFBgcICQ=="
    return content


def count(site):
    """Documents per index; indices of the server itself (leading dot) are left out."""
    ask(site, "POST", "/_refresh", missing_is_fine=True)
    listed = ask(site, "GET", "/_cat/indices?format=json&h=index,status")
    counted = {}
    for row in sorted(listed, key=lambda row: row["index"]):
        name = row["index"]
        if name.startswith("."):
            continue
        if row["status"] != "open":
            counted[name] = {"documents": None, "status": row["status"]}
            continue
        counted[name] = {"documents": ask(site, "GET", f"/{quoted(name)}/_count")["count"]}
    return counted


def quoted(name):
    return urllib.parse.quote(name, safe="")


def ask(site, method, path, body=None, missing_is_fine=False):
    """Asks the first node; bytes are a bulk request."""
    bulk = isinstance(body, bytes)
    request = urllib.request.Request(
        site.search_urls[0] + path,
        method=method,
        data=body if bulk or body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/x-ndjson" if bulk else "application/json"},
    )
    try:
        with opened(site.lab, request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        if error.code == 404 and missing_is_fine:
            return None
        raise LabError(f"{method} {request.full_url}", f"{error.code} {said}", "see the log of search") from None
    except OSError as error:
        raise LabError(f"{method} {request.full_url}", str(error), "see `lab status`") from None
