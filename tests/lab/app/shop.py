"""The application of the lab: a small shop that keeps its data in four stores.

Started as: shop.py SETTINGS (an ini file with what belongs to this site: addresses, passwords)

    POST /orders        stores an order in SQL, search, files and Redis; answers when all have acknowledged
    GET  /orders/ID     the order, from SQL
    GET  /search?q=     matching orders, from search
    GET  /files/NAME    a file of the storage tree
    PUT  /files/NAME    from another host of the site: every host has a copy of every file
    GET  /health        whether the stores answer

What an operator may change (title, page size) is in `shop.ini` of the configuration tree, read at the start.
"""

import base64
import concurrent.futures
import configparser
import http.server
import json
import os
import pathlib
import secrets
import ssl
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import pymysql
import redis

VERSION = "1.4.2"
INDEX = "shop-orders"
STORE_SECONDS = 1.5
WRITE_SECONDS = 10
SESSION_SECONDS = 3600

TABLE = """
CREATE TABLE IF NOT EXISTS orders (
    id CHAR(24) PRIMARY KEY,
    customer VARCHAR(1000) NOT NULL,
    item VARCHAR(1000) NOT NULL,
    note TEXT,
    host VARCHAR(20) NOT NULL,
    created DATETIME(3) NOT NULL,
    KEY created (created)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
"""


class NotFound(Exception):
    """What was asked for is not there."""


class BadRequest(Exception):
    """The question makes no sense."""


class Shop:
    """The application without HTTP."""

    def __init__(self, settings_file):
        settings = configparser.ConfigParser(interpolation=None)
        settings.read(settings_file, encoding="utf-8")
        self.site, self.search, self.sql, self.redis = (settings[name] for name in ("site", "search", "sql", "redis"))
        authority = settings.get("tls", "authority", fallback="")
        self.trusted = ssl.create_default_context(cafile=authority) if authority else None
        self.storage = pathlib.Path(self.site["storage"])
        self.peers = self.site["peers"].split()
        self.urls = self.search["urls"].split()
        configured = configparser.ConfigParser(interpolation=None)
        configured.read(pathlib.Path(self.site["config"]) / "shop.ini", encoding="utf-8")
        self.title = configured.get("shop", "title", fallback="Shop")
        self.page_size = configured.getint("shop", "page_size", fallback=20)
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=16)
        # health checks have their own threads: stuck writes must not make them late
        self.checkers = concurrent.futures.ThreadPoolExecutor(max_workers=16)

    # -- orders

    def create_order(self, order):
        for field in ("customer", "item"):
            if not isinstance(order.get(field), str) or not order[field]:
                raise BadRequest(f"an order needs {field!r}")
        order_id = secrets.token_hex(12)
        now = time.time()
        document = {
            "customer": order["customer"],
            "item": order["item"],
            "note": order.get("note", ""),
            "host": self.site["host"],
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        }
        name = f"orders/{order_id[:2]}/{order_id}.json"
        self.write_row(order_id, document, now)
        self.write_document(order_id, document)
        content = json.dumps({"id": order_id, **document}, ensure_ascii=False).encode()
        self.write_file(name, content)
        copies = self.copy_to_peers(name, content)
        self.write_session(order_id)
        return {"id": order_id, "document": order_id, "index": INDEX, "file": name, "copies": copies}

    def order(self, order_id):
        with self.database() as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
            try:
                cursor.execute("SELECT id, customer, item, note, host, created FROM orders WHERE id = %s", (order_id,))
            except pymysql.err.ProgrammingError:
                raise NotFound(order_id) from None  # no order was ever stored
            row = cursor.fetchone()
        if row is None:
            raise NotFound(order_id)
        return {**row, "created": row["created"].isoformat()}

    def find(self, text):
        query = {"size": self.page_size, "query": {"query_string": {"query": text}} if text else {"match_all": {}}}
        try:
            found = self.ask_search("POST", f"/{INDEX}/_search", query)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return {"orders": []}
            if error.code == 400:
                raise BadRequest(f"search does not understand {text!r}") from None
            raise
        return {"orders": [{"id": hit["_id"], **hit["_source"]} for hit in found["hits"]["hits"]]}

    # -- SQL

    def database(self, timeout=WRITE_SECONDS):
        return pymysql.connect(
            host=self.sql["address"],
            port=self.sql.getint("port"),
            user=self.sql["user"],
            password=self.sql["password"],
            database=self.sql["database"],
            charset="utf8mb4",
            connect_timeout=min(timeout, 3),
            read_timeout=timeout,
            write_timeout=timeout,
            ssl=self.trusted,
        )

    def write_row(self, order_id, document, now):
        insert = "INSERT INTO orders (id, customer, item, note, host, created) VALUES (%s, %s, %s, %s, %s, %s)"
        created = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}"
        values = (order_id, document["customer"], document["item"], document["note"], document["host"], created)
        with self.database() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(insert, values)
            except pymysql.err.ProgrammingError:  # the very first order
                cursor.execute(TABLE)
                cursor.execute(insert, values)
            except pymysql.err.DataError as error:
                raise BadRequest(f"the order does not fit: {error}") from None
            connection.commit()

    # -- search

    def ask_search(self, method, path, body=None, timeout=WRITE_SECONDS):
        """Asks the first node that answers at all."""
        last = None
        for url in self.urls:
            request = urllib.request.Request(
                url + path,
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
            if self.trusted:
                word = f"{self.search['user']}:{self.search['password']}".encode()
                request.add_header("Authorization", f"Basic {base64.b64encode(word).decode()}")
            try:
                with urllib.request.urlopen(request, timeout=timeout, context=self.trusted) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError:
                raise
            except OSError as error:
                last = error
        raise last

    def write_document(self, order_id, document):
        # an index that comes into being by itself would have the wrong number of copies
        try:
            self.ask_search("GET", f"/{INDEX}/_settings")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            self.create_index()
        self.ask_search("PUT", f"/{INDEX}/_doc/{order_id}", document)

    def create_index(self):
        settings = {"number_of_shards": 1, "number_of_replicas": self.search.getint("replicas")}
        try:
            self.ask_search("PUT", f"/{INDEX}", {"settings": settings})
        except urllib.error.HTTPError as error:
            if error.code != 400:  # 400: another host was faster
                raise

    # -- files

    def path_of(self, name):
        path = (self.storage / name).resolve()
        if not path.is_relative_to(self.storage.resolve()):
            raise BadRequest("this name leaves the storage tree")
        return path

    def write_file(self, name, content):
        """Under a temporary name first: a file is there as a whole or not at all."""
        path = self.path_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, coming = tempfile.mkstemp(prefix=".coming-", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o664)
        os.rename(coming, path)

    def read_file(self, name):
        try:
            return self.path_of(name).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(name) from None

    def copy_to_peers(self, name, content):
        """Gives the file to the other hosts; one that does not answer gets it by the next copy of the tree."""

        def put(peer):
            request = urllib.request.Request(f"{peer}/files/{name}", data=content, method="PUT")
            with urllib.request.urlopen(request, timeout=STORE_SECONDS) as answer:
                return json.load(answer)["host"]

        copies = [self.site["host"]]
        for future in [self.pool.submit(put, peer) for peer in self.peers]:
            try:
                copies.append(future.result())
            except (OSError, ValueError):
                continue
        return sorted(copies)

    # -- sessions

    def cache(self, timeout=WRITE_SECONDS):
        return redis.Redis(
            self.redis["address"], self.redis.getint("port"), socket_timeout=timeout, socket_connect_timeout=timeout
        )

    def write_session(self, order_id):
        with self.cache() as cache:
            cache.set(f"session:{order_id}", self.site["host"], ex=SESSION_SECONDS)

    # -- health

    def health(self):
        checks = {
            "search": self.check_search,
            "sql": self.check_sql,
            "redis": self.check_redis,
            "files": self.check_files,
        }
        futures = {name: self.checkers.submit(check) for name, check in checks.items()}
        deadline = time.monotonic() + 2 * STORE_SECONDS
        stores = {}
        for name, future in futures.items():
            try:
                future.result(timeout=max(0.01, deadline - time.monotonic()))
                stores[name] = "up"
            except concurrent.futures.TimeoutError:
                stores[name] = "down: no answer in time"
            except Exception as error:
                stores[name] = f"down: {type(error).__name__}: {error}"[:200]
        if all(state == "up" for state in stores.values()):
            status = "up"
        else:
            # without SQL or files nothing can be sold; without search or sessions the shop limps
            status = "degraded" if stores["sql"] == stores["files"] == "up" else "down"
        return {
            "status": status,
            "version": VERSION,
            "title": self.title,
            "site": self.site["name"],
            "host": self.site["host"],
            "stores": stores,
        }

    def check_search(self):
        health = self.ask_search("GET", "/_cluster/health", timeout=STORE_SECONDS)
        if health["status"] == "red":
            raise RuntimeError("the cluster is red")

    def check_sql(self):
        with self.database(timeout=STORE_SECONDS) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def check_redis(self):
        with self.cache(timeout=STORE_SECONDS) as cache:
            cache.ping()

    def check_files(self):
        with tempfile.TemporaryFile(dir=self.storage) as file:
            file.write(b"health")


class Handler(http.server.BaseHTTPRequestHandler):
    """HTTP for the shop."""

    protocol_version = "HTTP/1.1"
    shop = None

    def do_GET(self):
        self.answer(self.get)

    def do_POST(self):
        self.answer(self.post)

    def do_PUT(self):
        self.answer(self.put)

    def answer(self, respond):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, content = respond(urllib.parse.urlsplit(self.path))
        except NotFound as error:
            status, content = 404, {"error": f"not found: {error}"}
        except BadRequest as error:
            status, content = 400, {"error": str(error)}
        except Exception as error:
            status, content = 503, {"error": f"{type(error).__name__}: {error}"}
        is_bytes = isinstance(content, bytes)
        body = content if is_bytes else json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if is_bytes else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def get(self, url):
        path = urllib.parse.unquote(url.path)
        if path == "/health":
            health = self.shop.health()
            return (503 if health["status"] == "down" else 200), health
        if path.startswith("/orders/"):
            return 200, self.shop.order(path.removeprefix("/orders/"))
        if path == "/search":
            return 200, self.shop.find(urllib.parse.parse_qs(url.query).get("q", [""])[0])
        if path.startswith("/files/"):
            return 200, self.shop.read_file(path.removeprefix("/files/"))
        raise NotFound(path)

    def post(self, url):
        if url.path != "/orders":
            raise NotFound(url.path)
        try:
            order = json.loads(self.body)
        except ValueError:
            raise BadRequest("the body is not JSON") from None
        if not isinstance(order, dict):
            raise BadRequest("the body is not a JSON object")
        return 201, self.shop.create_order(order)

    def put(self, url):
        path = urllib.parse.unquote(url.path)
        if not path.startswith("/files/"):
            raise NotFound(path)
        self.shop.write_file(path.removeprefix("/files/"), self.body)
        return 200, {"host": self.shop.site["host"]}

    def log_message(self, *_):
        """Health checks would fill the log."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    Handler.shop = Shop(sys.argv[1])
    site = Handler.shop.site
    server = Server((site["listen"], site.getint("port")), Handler)
    print(f"shop {VERSION} listens on {site['listen']}:{site['port']}", flush=True)
    server.serve_forever()


main()
