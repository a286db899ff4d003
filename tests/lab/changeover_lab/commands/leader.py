"""`lab leader`: tells or changes which application host leads a site."""

import json

from changeover_lab.layout import Lab
from changeover_lab.servers import leader


def run(directory, site, host):
    site = Lab.open(directory).site(site)
    if host is not None:
        leader.prefer(site, site.host(host))
    print(json.dumps(leader.ask(site)))
    return 0
