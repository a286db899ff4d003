"""`lab disk`: fills and frees the disks of a lab that has some, for tests of full ones."""

import json

from changeover_lab import disks
from changeover_lab.layout import Lab

ACTIONS = ("fill", "free", "show")


def run(directory, action, site, name, leave):
    lab = Lab.open(directory)
    path = disks.find(lab, site, name)
    if action == "fill":
        disks.fill(lab, site, name, leave)
    elif action == "free":
        disks.empty(lab, site, name)
    free, size = disks.measure(path)
    print(json.dumps({"path": str(path), "free": free, "size": size}))
    return 0
