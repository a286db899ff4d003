"""`lab reset`: back to a fresh and empty lab, with the same or with other servers."""

import dataclasses
import time

from changeover_lab import install
from changeover_lab.commands import down, up
from changeover_lab.install import say
from changeover_lab.layout import Lab


def run(directory, wanted):
    started = time.monotonic()
    lab = Lab.open(directory)
    choices = up.fitting(dataclasses.replace(lab.choices, **wanted))
    # what is wiped need not be shut down with care
    down.stop(lab, gently=False)
    up.wipe(lab)
    lab = Lab(lab.directory, lab.number, choices)
    install.install(lab.choices)
    lab.save()
    up.start(lab)
    say(f"lab {lab.number} is fresh and empty after {time.monotonic() - started:.0f} s: {lab.directory}")
    return 0
