"""Gives every lab a number of its own, so that several labs can run side by side.

The number is the second part of every address of a lab (127.N.x.y). Who has which number is written down in the
cache directory, one file per number, so that two labs started at the same moment never get the same one.
"""

import json
import pathlib
import socket

from changeover_lab import layout
from changeover_lab.errors import LabError

FIRST, LAST = 1, 200


def claim(directory):
    """The number of the lab in `directory`: the one it has, or a free one."""
    register = layout.cache_directory() / "labs"
    register.mkdir(parents=True, exist_ok=True)
    for entry in register.iterdir():
        if entry.read_text(encoding="utf-8").strip() == str(directory):
            return int(entry.name)
    for number in range(FIRST, LAST + 1):
        entry = register / str(number)
        if entry.exists() and _is_stale(entry, number):
            entry.unlink(missing_ok=True)
        if entry.exists() or not _addresses_are_free(number):
            continue
        try:
            with open(entry, "x", encoding="utf-8") as claimed:
                claimed.write(f"{directory}\n")
        except FileExistsError:
            continue
        return number
    raise LabError(
        "looked for a free lab number",
        f"all of {FIRST} to {LAST} are taken in {register}",
        "remove the directories of labs that are not needed; their numbers become free by that",
    )


def _is_stale(entry, number):
    """Whether the lab that claimed this number is gone."""
    directory = pathlib.Path(entry.read_text(encoding="utf-8").strip() or "/nonexistent")
    try:
        return json.loads((directory / "lab.json").read_text(encoding="utf-8"))["number"] != number
    except (OSError, ValueError, KeyError):
        # a lab that is just being created has a directory and no description yet
        return not directory.is_dir()


def _addresses_are_free(number):
    """Whether nothing listens where this lab's cluster services would (a lab with another cache might)."""
    for position in (1, 2):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((f"127.{number}.{position}.51", 8500))
            except OSError:
                return False
    return True
