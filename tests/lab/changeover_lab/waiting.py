"""Polling: ask a server until it is ready, give up at a deadline, and say why."""

import collections
import time

from changeover_lab.errors import LabError

TAIL_LINES = 25


def tail(path, lines=TAIL_LINES):
    """The last lines of a log file, indented; a sentence when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            last = collections.deque(log, maxlen=lines)
    except FileNotFoundError:
        return f"    ({path} does not exist)"
    if not last:
        return f"    ({path} is empty)"
    return "".join("    " + line.rstrip("\n") + "\n" for line in last).rstrip("\n")


def wait_until(what, probe, seconds, log=None, alive=None):
    """Calls `probe` until it returns None; any other answer, or an exception, is the reason why not yet.

    `alive` tells whether the process still lives: a dead one is never waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        living = alive is None or alive()
        try:
            reason = probe()
        except Exception as error:  # a server that is starting fails in any way it likes
            reason = f"{type(error).__name__}: {error}"
        if reason is None:
            return
        if not living:
            raise failure(f"waited for {what}", f"its process has ended ({reason})", log)
        if time.monotonic() > deadline:
            raise failure(f"waited {seconds} s for {what}", str(reason), log)
        time.sleep(0.2)


def failure(tried, came_back, log):
    """A LabError that carries the tail of the server's log."""
    if log is not None:
        came_back += f"\n  last lines of {log}:\n{tail(log)}"
    return LabError(tried, came_back, "read the log above, then `lab down` and `lab up`")
