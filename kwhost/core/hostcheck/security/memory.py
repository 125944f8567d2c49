"""Where tenants' memory may be seen beside their programs: merged pages and swap."""

import re
from pathlib import Path

from kwhost.core.hostcheck.security.concern import Concern, State
from kwhost.core.hostcheck.security.files import names_in, printable, text_of, value_of

__all__ = ["check_memory"]


def _check_merging(root: Path) -> Concern:
    run = value_of(root, "sys/kernel/mm/ksm/run")
    forced = re.search(r"^ksm_merge_any:?\s+yes", text_of(root, "proc/self/ksm_stat") or "", re.MULTILINE)
    state = {"0": State.OK, "2": State.OK, None: State.OK, "1": State.RISK}.get(run, State.UNKNOWN)
    seen = {
        None: "this kernel has none",
        "0": "does not run",
        "2": "does not run",
        "1": "runs, for programs that ask for it",
    }.get(run, f"cannot be told: {run}")
    if forced and run == "1":
        seen = "runs, also on whatever this shell or unit starts (instances take that back)"
    return Concern(
        name="page merging (KSM)",
        state=state,
        seen=seen,
        risk="the time that a write takes tells whether another tenant has a page of the same content",
        advice="echo 2 > /sys/kernel/mm/ksm/run, and stop what starts it (ksmtuned, MemoryKSM= of units)",
    )


def _swap_kind(root: Path, place: str, kind: str) -> str | None:
    """Why a swap area does no harm; None where it may. The place is as /proc/swaps tells it."""
    device = place.rpartition("/")[2]
    if kind != "partition" or not re.fullmatch(r"[\w.+-]+", device):
        return None
    if re.fullmatch(r"zram\d+", device):
        backing = value_of(root, f"sys/block/{device}/backing_dev")
        return "in memory (zram)" if backing in (None, "none") else None
    for block in [device] if device.startswith("dm-") else names_in(root, "sys/block"):
        named = block == device or value_of(root, f"sys/block/{block}/dm/name") == device
        if named and (value_of(root, f"sys/block/{block}/dm/uuid") or "").startswith("CRYPT-"):
            return "encrypted"
    return None


def _check_swap(root: Path) -> Concern:
    text = text_of(root, "proc/swaps")
    areas = [fields for line in (text or "").splitlines()[1:] if len(fields := line.split()) >= 2]
    kinds = {place: _swap_kind(root, place, kind) for place, kind, *_ in areas}
    harmful = [place for place, kind in kinds.items() if not kind]
    state = State.UNKNOWN if text is None else State.RISK if harmful else State.OK
    shown = ", ".join(f"{place}: {kind or 'not known to be encrypted'}" for place, kind in kinds.items())
    return Concern(
        name="swap",
        state=state,
        seen="cannot be told" if text is None else printable(shown) or "none",
        risk="tenants' memory is written to a disk, and can be read there after their end",
        advice="swapoff -a, encrypt it with a key of each boot (crypttab), or use zram without a disk",
    )


def check_memory(root: Path) -> list[Concern]:
    """Page merging and swap."""
    return [_check_merging(root), _check_swap(root)]
