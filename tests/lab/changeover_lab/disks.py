"""Small disks of their own under the trees of a lab that was created with `--disks`, so that they can really be full.

A disk is a file system in memory, mounted under the tree before any server starts: what the servers and hosts bind is
the disk, and a change of its size is seen by all of them at once. Filling a disk is shrinking it, so that nothing has to
be written into a tree that somebody counts. What is on the disks is gone after `down`.
"""

import errno
import os
import pathlib
import subprocess

from changeover_lab.errors import LabError

#: of a disk that is not full, in bytes
SIZE = 1 << 30


def of_site(site):
    """The disks of a site: name and mount point."""
    search = {f"search{suffix}": f"search{suffix}/data" for suffix in ("", "-2", "-3")[: site.search_nodes]}
    disks = {name: site.directory / path for name, path in search.items()}
    disks |= {"exchange": site.exchange, "sql": site.directory / "sql"}
    return disks | {host.name: host.storage for host in site.hosts}


def mount_all(lab):
    """Mounts the disks that are not mounted."""
    if not lab.choices.disks:
        return
    for site in lab.sites:
        for path in of_site(site).values():
            path.mkdir(parents=True, exist_ok=True)
            if not path.is_mount():
                # the name tells the disk apart from others in the list of mounts of a namespace
                _run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", str(path), str(path))


def unmount_all(lab):
    """Unmounts the disks; what is on them is gone."""
    for path in (path for site in lab.sites for path in of_site(site).values()):
        while path.is_mount():
            # lazily: somebody may look at a file of it
            _run("umount", "--lazy", str(path))


def fill(lab, site, name, leave):
    """Makes a disk so small that `leave` bytes are free; what is written meanwhile may take some of them."""
    path = find(lab, site, name)
    # the kernel takes a size of nothing for no limit
    least = os.sysconf("SC_PAGE_SIZE")
    while True:
        free, size = measure(path)
        wanted = max(size - free + leave, least)
        try:
            _remount(path, wanted)
        except OSError:
            if measure(path) == (free, size):
                raise
            continue  # it has grown while we looked
        return


def empty(lab, site, name):
    """Gives a disk the size that it had at first."""
    _remount(find(lab, site, name), SIZE)


def find(lab, site, name):
    """The mount point of a disk."""
    disks = of_site(lab.site(site))
    if name not in disks:
        raise LabError(f"looked for the disk {name!r} at {site}", "there are " + ", ".join(disks), "use one of these")
    if not disks[name].is_mount():
        raise LabError(
            f"looked for the disk {name!r} at {site}",
            "the lab has no disks of its own, or is down",
            "create it with: lab --disks up (or reset)",
        )
    return disks[name]


def measure(path: pathlib.Path):
    """Free and total bytes."""
    about = os.statvfs(path)
    return about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize


def _remount(path, size):
    done = subprocess.run(
        ["mount", "-o", f"remount,size={size}", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise OSError(errno.EINVAL, done.stderr.strip(), str(path))


def _run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"ran {' '.join(argv)}", done.stderr.strip(), "run the lab as root, where it may mount")
