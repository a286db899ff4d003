"""File data: a storage tree with everything that makes copying files hard, and a small configuration tree."""

import hashlib
import os
import random
import shutil
import stat
import subprocess

from changeover_lab.data.texts import HOSTILE, WORDS, phrase
from changeover_lab.layout import GROUP, LOGIN_USER

ODD_NAMES = (
    b"with space", b"quote'single", b'quote"double', b"new\nline", b"-leading-dash", b"--delete", b"latin1-\xe9.txt",
    b"bytes-\xff\xfe\x80", "nfc-\u00e9.txt".encode(), "nfd-e\u0301.txt".encode(), "party-\U0001f389".encode(),
    b"tab\there", b"star*", b"question?", b"[bracket]", b"$(id)", b"`id`", b"semi;colon", b"back\\slash", b"#hash",
    b"~tilde", b"%s", b"{{ braces }}", b"trailing space ", b" leading space", b"carriage\rreturn", b"\x1b[31mred",
    b"colon:name", b"host:path", b"...", b".hidden", b"x" * 255, b"a&b", b"a|b", b"<in>", b"!bang", b"\\#011",
)  # fmt: skip
MODES = (0o644, 0o664, 0o600, 0o640, 0o444, 0o400, 0o755, 0o750)
BASE_TIME = 1_767_225_600

#: what `load` makes at the top of a storage tree; an earlier load's are removed first
TOP = ("media", "odd", "deep", "documents")


def load(site, files, seed):
    """Replaces what an earlier load has stored: generated on the first host, copied to the others."""
    first, *others = site.hosts
    for host in site.hosts:
        for name in TOP:
            shutil.rmtree(host.storage / name, ignore_errors=True)
        for entry in os.scandir(host.config):
            shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.unlink(entry)
    old_mask = os.umask(0o002)
    try:
        make_storage(os.fsencode(first.storage), files, random.Random(f"files {seed}"))
        make_config(first.config, random.Random(f"config {seed}"))
    finally:
        os.umask(old_mask)
    for tree in (first.storage, first.config):
        subprocess.run(["chown", "-hR", "--", f"{LOGIN_USER}:{GROUP}", str(tree)], check=True)
    for name in TOP:
        settle_times(os.fsencode(first.storage / name))
    settle_times(os.fsencode(first.config))
    for host in others:
        for name in TOP:
            if (first.storage / name).exists():
                copy(first.storage / name, host.storage)
        copy(str(first.config) + "/.", host.config)


def copy(source, target):
    subprocess.run(["cp", "-a", "--", str(source), str(target)], check=True)


def make_storage(root, files, generator):
    """Exactly `files` entries that are not directories."""
    specials = list(special_files(root, generator))
    for number, make in enumerate(specials):
        if number >= files:
            return
        make()
    for number in range(files - len(specials)):
        folder = b"media/%02x/%02x" % (number % 16, number // 16 % 16)
        if number % 10 == 0:
            folder = b"documents/" + WORDS[number // 10 % len(WORDS)].encode()
        size = generator.choice((0, 17, 300, 1000, 4096, 4097, 9000)) if number % 200 else 300_000
        write(root, folder + b"/%06d.dat" % number, generator.randbytes(size), MODES[number % len(MODES)])


def special_files(root, generator):
    """Functions that make one special file each; later ones may need earlier ones."""
    for name in ODD_NAMES:
        content = generator.randbytes(40)
        yield lambda name=name, content=content: write(root, b"odd/" + name, content)
    yield lambda: write(root, b"odd/empty", b"")
    yield lambda: sparse(root, b"odd/sparse")
    yield lambda: write(root, b"odd/hard-1", b"one file with three names")
    yield lambda: os.link(root + b"/odd/hard-1", root + b"/odd/hard-2")
    yield lambda: os.link(root + b"/odd/hard-1", parent(root, b"odd/elsewhere/hard-3"))
    yield lambda: os.symlink(b"hard-1", root + b"/odd/link-relative")
    yield lambda: os.symlink(b"../odd/elsewhere/hard-3", root + b"/odd/elsewhere/link-up")
    yield lambda: os.symlink(b"not there", root + b"/odd/link-dangling")
    yield lambda: os.symlink(b"elsewhere", root + b"/odd/link-to-folder")
    yield lambda: os.symlink(b"/etc/hostname", root + b"/odd/link-absolute")
    yield lambda: os.symlink(b"link-loop", root + b"/odd/link-loop")
    yield lambda: write(root, b"odd/folder with\nnewline/-x/ y/z", b"deep and odd")
    deep = b"deep/" + b"/".join(b"level-%02d" % level for level in range(40))
    yield lambda: write(root, deep + b"/bottom", b"you found it")
    yield lambda: (os.makedirs(root + b"/odd/empty-folder", exist_ok=True), write(root, b"odd/last", b"last"))


def parent(root, path):
    full = root + b"/" + path
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def write(root, path, content, mode=0o644):
    full = parent(root, path)
    with open(full, "wb") as file:
        file.write(content)
    os.chmod(full, mode)


def sparse(root, path):
    """Ten megabytes that occupy almost nothing."""
    with open(parent(root, path), "wb") as file:
        file.write(b"start")
        file.seek(10_000_000)
        file.write(b"end")


def make_config(root, generator):
    sections = {
        "shop.ini": f"[shop]\ntitle = Shop {generator.choice(WORDS)} größe\npage_size = 25\n",
        "search.ini": "[search]\nboost = 1.5\nfields = customer, item, note\n",
        "mail.ini": "; no mail is sent\n[mail]\nfrom = shop@shop.example\nsubject = Your order; thank you 100%\n",
    }
    for theme in WORDS[:6]:
        colours = "".join(f"colour_{number} = {generator.getrandbits(24):06x}\n" for number in range(4))
        sections[f"themes/{theme}.ini"] = f"[{theme}]\n{colours}text = {phrase(generator)!r}\n"
    sections["strange.ini"] = "[strange]\n" + "".join(f"v{n} = {value!r}\n" for n, value in enumerate(HOSTILE))
    for name, content in sections.items():
        write(os.fsencode(root), os.fsencode(name), content.encode(), 0o640)


def settle_times(root):
    """Modification times that do not depend on when the tree was made; folders after what is in them."""
    if not os.path.lexists(root):
        return
    for folder, folders, names in os.walk(root, topdown=False):
        for name in (*names, *folders):
            path = os.path.join(folder, name)
            moment = BASE_TIME + int(hashlib.sha256(os.path.relpath(path, root)).hexdigest()[:6], 16)
            os.utime(path, (moment, moment), follow_symlinks=False)
    os.utime(root, (BASE_TIME, BASE_TIME))


# -- counting


def count(site):
    return {host.name: {"storage": measure(host.storage), "config": measure(host.config)} for host in site.hosts}


def measure(root):
    """Number and size of the files of a tree, and a digest of all that a copy has to keep but the times."""
    root = os.fsencode(root)
    entries = []
    files = size = 0
    contents = {}  # hard links are read once
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            try:
                about = os.lstat(path)
                content, length = b"", 0
                if stat.S_ISLNK(about.st_mode):
                    content = os.readlink(path)
                elif stat.S_ISREG(about.st_mode):
                    length = about.st_size
                    if about.st_ino not in contents:
                        with open(path, "rb") as file:
                            contents[about.st_ino] = hashlib.file_digest(file, "sha256").digest()
                    content = contents[about.st_ino]
            except FileNotFoundError:
                continue  # the application has just renamed it
            if not stat.S_ISDIR(about.st_mode):
                files += 1
                size += length
            # the mode of a symbolic link means nothing
            mode = 0 if stat.S_ISLNK(about.st_mode) else stat.S_IMODE(about.st_mode)
            entries.append((os.path.relpath(path, root), stat.S_IFMT(about.st_mode), length, mode, content))
    digest = hashlib.sha256()
    for entry in sorted(entries):
        digest.update(repr(entry).encode())
    return {"files": files, "bytes": size, "digest": digest.hexdigest()[:32]}
