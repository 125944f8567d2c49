"""btrfs-progs: what they print, and what they say is wrong, as OSError."""

import errno
import subprocess

__all__ = ["btrfs"]

_SECONDS = 30.0
_TEXT_MAX = 200


def btrfs(*arguments: str) -> str:
    """Run `btrfs`. Raises OSError in one line."""
    what = " ".join(arguments[:2])
    try:
        done = subprocess.run(
            ["btrfs", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except FileNotFoundError as error:
        raise OSError(errno.ENOENT, "there is no program btrfs; install btrfs-progs") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        text = said[-1].removeprefix("ERROR: ") if said else f"exit status {error.returncode}"
        raise OSError(errno.EIO, f"btrfs {what}: {text[:_TEXT_MAX]}") from error
    except subprocess.TimeoutExpired as error:
        raise OSError(errno.ETIMEDOUT, f"btrfs {what} does not come to an end") from error
    return done.stdout.decode(errors="replace")
