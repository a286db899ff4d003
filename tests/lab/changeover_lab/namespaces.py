"""Mount namespaces: how one path means a different tree on every host.

In reality `/storage` of one machine is not `/storage` of another. On one machine the lab gets the same effect by
starting every host's processes in a mount namespace of their own, with the host's trees bound to the mount points
in `DIR/mnt`. A namespace lives as long as a process in it does, so nothing has to be unmounted.

The bound mounts also identify the lab's processes: whoever has `DIR/mnt/exchange` mounted belongs to this lab.
"""

import os
import pathlib

from changeover_lab import install
from changeover_lab.layout import GROUP, LOGIN_HOME

_ENTER = 'set -e; while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"'


def command(binds, user, argv):
    """The command that runs `argv` as `user` (None: root) where every (tree, mount point) of `binds` is bound."""
    pairs = [str(part) for bind in binds for part in bind]
    return [
        "/usr/bin/unshare", "--mount", "--propagation", "private", "--",
        "/bin/sh", "-c", _ENTER, "sh", *pairs, "--",
        *as_user(user), *[str(part) for part in argv],
    ]  # fmt: skip


def as_user(user):
    """The words before a command that make it run as `user` in the shared group, without a process in between."""
    if user is None:
        return []
    return ["/usr/bin/setpriv", "--reuid", user, "--regid", GROUP, "--init-groups", "--"]


def of_site(site):
    """What the search and SQL servers of a site see."""
    return [(site.exchange, site.lab.exchange_mount)]


def of_host(host):
    """What everything on a host sees: the site's exchange tree and the host's own trees."""
    lab = host.site.lab
    client = install.sql_client_home(lab.choices.sql)
    return [
        *([] if client is None else [(client, lab.sql_client_mount)]),
        (host.site.exchange, lab.exchange_mount),
        (host.storage, lab.storage_mount),
        (host.config, lab.config_mount),
        (host.service, lab.service_mount),
        (host.home, LOGIN_HOME),
    ]


def processes_of_lab(lab):
    """The ids of all processes that live in a namespace of this lab."""
    return _processes_with_mount(str(lab.exchange_mount), None)


def processes_of_host(host):
    """The ids of all processes that live in a namespace of this host."""
    return _processes_with_mount(str(host.site.lab.storage_mount), str(host.storage))


def _processes_with_mount(mount_point, source):
    """Processes that see something mounted on `mount_point`; with `source`, this tree."""
    found = []
    namespaces = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            namespace = os.readlink(f"/proc/{entry.name}/ns/mnt")
            if namespace not in namespaces:
                namespaces[namespace] = _has_mount(entry.name, mount_point, source)
        except OSError:
            continue  # it ended while we looked
        if namespaces[namespace]:
            found.append(int(entry.name))
    return found


def _has_mount(pid, mount_point, source):
    content = pathlib.Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8", errors="replace")
    for line in content.splitlines():
        fields = line.split(" ")
        root, target = _unescape(fields[3]), _unescape(fields[4])
        if root == "/":  # a disk of its own, which is named after its place
            root = _unescape(fields[fields.index("-") + 2])
        # the root is relative to its file system, so it is compared from its end
        if target == mount_point and (source is None or source.endswith(root)):
            return True
    return False


def _unescape(path):
    """mountinfo writes blanks, tabs, newlines and backslashes in octal."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path
