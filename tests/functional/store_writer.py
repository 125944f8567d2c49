"""Writes to a store until it is killed, or until its disk is full; for test_store_faults.

`python -m tests.functional.store_writer FILE` prints the number of each event once the store has it.
With a second argument, a file that occupies the disk, it then frees that and goes on.
"""

import sys
from pathlib import Path

import trio

from kwhost.core.errors import StoreError
from kwhost.core.model.events import Event, EventKind
from kwhost.core.store.database import Store


def say(line: str) -> None:
    """One line in one write: a reader gets all of it or nothing."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def append(store: Store, text: str) -> None:
    event = await store.append_event(Event(time=1.0, kind=EventKind.NOTICE, text=text))
    say(str(event.seq))


async def write_on(store: Store) -> None:
    while True:
        await append(store, "x" * 500)


async def main(path: Path, ballast: trio.Path | None) -> None:
    store = await Store.open(path)
    try:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(write_on, store)
    except* StoreError as group:
        say(f"error: {group.exceptions[0]}")
    assert ballast
    await ballast.unlink()
    await append(store, "there is space again")
    await store.aclose()
    store = await Store.open(path)
    say(f"read: {len((await store.events(0, 10_000)).events)}")
    await store.aclose()


trio.run(main, Path(sys.argv[1]), trio.Path(sys.argv[2]) if len(sys.argv) > 2 else None)
