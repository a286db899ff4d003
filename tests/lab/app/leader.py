"""The cluster service of a site: `GET /leader` tells which application host leads.

Started as: leader.py ADDRESS PORT FILE NAME=URL...

FILE holds the name of the preferred member. Alive means that a member's own health check answers and is not `down`;
the preferred member leads while it is alive, otherwise the first living one does. Without any, the answer is 503.
"""

import http.server
import json
import sys
import urllib.error
import urllib.request

HEALTH_SECONDS = 4


def is_alive(url):
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=HEALTH_SECONDS) as answer:
            return json.load(answer)["status"] != "down"
    except (OSError, ValueError, KeyError):
        return False


def answer(preferred_file, members):
    try:
        with open(preferred_file, encoding="utf-8") as file:
            preferred = file.read().strip()
    except FileNotFoundError:
        preferred = ""
    order = sorted(members, key=lambda name: name != preferred)  # stable: the preferred one first
    leader = next((name for name in order if is_alive(members[name])), None)
    return {"leader": leader, "members": list(members)}


def main():
    address, port, preferred_file = sys.argv[1:4]
    members = dict(member.split("=", 1) for member in sys.argv[4:])

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path != "/leader":
                self.reply(404, {"error": "there is only /leader"})
                return
            content = answer(preferred_file, members)
            self.reply(200 if content["leader"] else 503, content)

        def reply(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http.server.ThreadingHTTPServer((address, int(port)), Handler).serve_forever()


main()
