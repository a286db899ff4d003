"""`lab estate`: the estate.toml that describes this lab to the program."""

import json

from changeover_lab.layout import DATABASE, LOGIN_USER, SEARCH_ADMIN, SQL_ADMIN, Lab

VIAS = ("port", "tunnel", "ssh")


def run(directory, via, local_paths):
    print(text(Lab.open(directory), via, local_paths), end="")
    return 0


def text(lab, via="ssh", local_paths=False):
    """The file. With `local_paths` the exchange trees are named as they are outside of the hosts."""
    parts = [
        f"""\
name = "lab"
active = "prod"

[ssh]
config = {quoted(lab.ssh / "config")}
known_hosts = {quoted(lab.ssh / "known_hosts")}
"""
    ]
    for site in lab.sites:
        exchange = site.exchange if local_paths else lab.exchange_mount
        parts.append(
            f"""
[sites.{site.name}]
title = "{site.title}"
exchange = {quoted(exchange)}
"""
        )
        parts += [
            f"""
[sites.{site.name}.hosts.{host.name}]
address = "{host.address}"
port = 22
user = "{LOGIN_USER}"
identity = {quoted(lab.ssh / "id_ed25519")}
roles = ["app"]
"""
            for host in site.hosts
        ]
    prod, bcp = lab.sites
    sql_via = f'via = "{via}"' + ("" if via == "port" else ', leader = "app"')
    trusted = signed = ""
    if lab.choices.tls:
        signed = f'ca_pem = """\n{lab.authority.read_text(encoding="ascii")}"""\n'
        trusted = f'user = "{SEARCH_ADMIN}"\npassword = {{ file = {quoted(lab.secrets / "search")} }}\n{signed}'
    parts.append(
        f"""
[services.search]
kind = "elasticsearch"
{trusted}\
prod = {{ urls = {json.dumps(prod.search_urls)} }}
bcp = {{ urls = {json.dumps(bcp.search_urls)} }}

[services.db]
kind = "mysql"
databases = ["{DATABASE}"]
user = "{SQL_ADMIN}"
password = {{ file = {quoted(lab.secrets / "sql")} }}
{signed}\
prod = {{ {sql_via}, address = "{prod.sql_address}", port = 3306 }}
bcp = {{ {sql_via}, address = "{bcp.sql_address}", port = 3306 }}

[services.cache]
kind = "redis"
prod = {{ address = "{prod.redis_address}", port = 6379 }}
bcp = {{ address = "{bcp.redis_address}", port = 6379 }}

[services.assets]
kind = "files"
paths = [{quoted(lab.storage_mount)}]
role = "app"
max_delete = "5%"

[services.config]
kind = "files"
paths = [{quoted(lab.config_mount)}]
role = "app"

[services.app]
kind = "app"
role = "app"
manager = {{ kind = "runit", service = {quoted(lab.service_mount / "shop")} }}
restart = ["sudo", "-n", {quoted(lab.restart_script)}]
health = {{ url = "http://{{{{ host.address }}}}:8080/health" }}
prod = {{ leader_url = "{prod.leader_url}" }}
bcp = {{ leader_url = "{bcp.leader_url}" }}

[objectives]
rpo = "15m"
rto = "30m"
"""
    )
    return "".join(parts)


def quoted(value):
    """A TOML basic string; JSON's is one, apart from DEL."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
