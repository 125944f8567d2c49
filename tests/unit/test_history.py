"""What instances used over time: kept as it was, within bounds."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from kwhost.core.daemon import history
from kwhost.core.daemon.history import Histories
from kwhost.core.model.history import Sample
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import InstanceState, Usage
from tests.unit.fake_hosting import FakeHosting, make_definition

ONE, OTHER = InstanceId("000000000001"), InstanceId("000000000002")


def clock() -> Iterator[float]:
    return (float(number) for number in count(1))


def times(histories: Histories, id_: InstanceId) -> list[float]:
    return [sample.time for sample in histories.of(id_).samples]


def test_samples_are_as_they_were_measured() -> None:
    histories = Histories(clock().__next__)
    histories.add(ONE, Usage(cpu_seconds=1.5, memory=2**40, calls=2**52, refused=0, pids=7))

    (sample,) = histories.of(ONE).samples
    assert sample == Sample(time=1.0, cpu_seconds=1.5, memory=2**40, calls=2**52, refused=0)
    assert isinstance(sample.calls, int)


def test_an_instance_of_which_nothing_is_known_has_no_samples() -> None:
    assert Histories().of(ONE).samples == ()


def test_each_instance_has_at_most_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_SAMPLES_MAX", 3)
    histories = Histories(clock().__next__)
    for _ in range(5):
        histories.add(ONE, Usage())

    assert times(histories, ONE) == [3.0, 4.0, 5.0]


def test_all_together_have_at_most_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_SAMPLES_IN_ALL", 4)
    histories = Histories(clock().__next__)
    for _ in range(4):
        histories.add(ONE, Usage())
        histories.add(OTHER, Usage())

    assert (times(histories, ONE), times(histories, OTHER)) == ([5.0, 7.0], [6.0, 8.0])


async def test_what_runs_is_looked_at_and_what_was_removed_is_forgotten(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    hosting = FakeHosting(tmp_path)
    runs = hosting.add(make_definition(name="runs"))
    ended = hosting.add(make_definition(name="ended"), InstanceState.EXITED)
    histories = Histories(trio.current_time)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(histories.keep, hosting)
        await trio.sleep(25)
        assert len(histories.of(runs).samples) == 2
        assert histories.of(ended).samples == ()

        del hosting.statuses[runs]
        await trio.sleep(10)
        assert histories.of(runs).samples == ()
        nursery.cancel_scope.cancel()
