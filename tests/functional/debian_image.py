"""An image of Debian's programs, built by umoci out of what this machine's packages have installed."""

import re
import subprocess
from pathlib import Path

__all__ = ["LAYERS", "PORT", "build_layout"]

PORT = 8000
LAYERS = 2
# Counts visits in a file of its volume, and tells each visitor how many there were.
_APP = f"""#!/usr/bin/python3
import os, socket, sys

place = os.path.join(sys.argv[1], "visits")
with socket.create_server(("", {PORT})) as server:
    while True:
        visitor, _ = server.accept()
        with visitor, open(place, "a+") as visits:
            visits.write("1")
            visits.flush()
            visits.seek(0)
            visitor.sendall(f"{{os.environ['GREETING']}}, visitor {{len(visits.read())}}\\n".encode())
"""
_CONFIGURATION = (
    "--config.entrypoint", "/srv/app", "--config.cmd", "/var/lib/visits", "--config.user", "app:app",
    "--config.volume", "/var/lib/visits", "--config.exposedports", f"{PORT}/tcp",
    "--config.env", "GREETING=welcome", "--config.workingdir", "/srv", "--config.stopsignal", "SIGINT",
)  # fmt: skip


def _installed_files(*packages: str) -> list[str]:
    """The paths of packages and of all that they need, as they are installed here."""
    found: dict[str, list[str]] = {}
    wanted = list(packages)
    while wanted:
        package = wanted.pop()
        if package in found:
            continue
        show = ["dpkg-query", "--show", "--showformat", "${Pre-Depends},${Depends}", package]
        needs = subprocess.run(show, check=True, capture_output=True, text=True, timeout=60).stdout
        # Of alternatives the first: that is what Debian installs.
        wanted += re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9.+-]+)", needs)
        listed = ["dpkg-query", "--listfiles", package]
        listing = subprocess.run(listed, check=True, capture_output=True, text=True, timeout=60).stdout
        found[package] = listing.splitlines()
    return sorted({path for files in found.values() for path in files if path.startswith("/")})


def _copy_files(paths: list[str], root: Path) -> None:
    # /bin and its like are links into /usr, as installed.
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    there = [path for path in paths if Path(path).exists() and not Path(path).is_dir()]
    pack = ["tar", "--create", "--directory", "/", "--no-recursion", "--null", "--files-from", "-"]
    packed = subprocess.run(
        pack,
        input="\0".join(path[1:] for path in there).encode(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    unpack = ["tar", "--extract", "--directory", str(root), "--keep-directory-symlink"]
    subprocess.run(unpack, input=packed.stdout, check=True, timeout=60)


def build_layout(directory: Path) -> Path:
    """An OCI image layout, as umoci keeps it, with an image `1` of two layers: Debian's shell, tools and
    Python, and a program that counts visits in a volume."""
    layout, bundle = directory / "layout", directory / "bundle"
    root = bundle / "rootfs"

    def umoci(*arguments: object) -> None:
        subprocess.run(["umoci", *map(str, arguments)], check=True, capture_output=True, timeout=120)

    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:1")
    umoci("unpack", "--image", f"{layout}:1", bundle)
    _copy_files(_installed_files("dash", "coreutils", "grep", "python3-minimal"), root)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\napp:x:1000:2000::/srv:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\napp:x:2000:\n")
    umoci("repack", "--refresh-bundle", "--image", f"{layout}:1", bundle)
    (root / "srv").mkdir(exist_ok=True)
    (root / "srv/app").write_text(_APP)
    (root / "srv/app").chmod(0o755)
    (root / "var/lib/visits").mkdir(parents=True)
    subprocess.run(["chown", "1000:2000", root / "var/lib/visits"], check=True, timeout=60)
    umoci("repack", "--image", f"{layout}:1", bundle)
    umoci("config", "--image", f"{layout}:1", *_CONFIGURATION)
    return layout
