"""Who is served by which round of shared work, and whose its errors are."""

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from kwhost.net.rounds import Rounds


class Work:
    """Takes a second, and notes when each round of it began and ended; the rounds in `failing` fail."""

    def __init__(self, failing: frozenset[int] = frozenset()) -> None:
        self.failing = failing
        self.rounds: list[tuple[float, float]] = []

    async def __call__(self) -> None:
        began = trio.current_time()
        number = len(self.rounds)
        self.rounds.append((began, began + 1))
        await trio.sleep(1)
        if number in self.failing:
            raise LookupError(number)


async def test_those_who_ask_while_a_round_runs_share_the_next(autojump_clock: MockClock) -> None:
    rounds, work = Rounds(), Work()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(rounds.ask, work)
        await wait_all_tasks_blocked()
        for _ in range(50):
            nursery.start_soon(rounds.ask, work)

    assert len(work.rounds) == 2


async def test_who_insists_has_a_round_with_its_own_work_that_serves_others_too(
    autojump_clock: MockClock,
) -> None:
    rounds, work, own = Rounds(), Work(), Work()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(rounds.ask, work)
        await wait_all_tasks_blocked()
        nursery.start_soon(rounds.insist, own)
        await wait_all_tasks_blocked()
        nursery.start_soon(rounds.ask, work)

    assert (len(work.rounds), len(own.rounds)) == (1, 1)


async def test_others_are_served_although_who_began_a_round_is_cancelled(autojump_clock: MockClock) -> None:
    rounds, work = Rounds(), Work()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rounds.ask, work)
            await wait_all_tasks_blocked()
            scope.cancel()

    await rounds.ask(work)

    assert len(work.rounds) == 2


@given(st.lists(st.floats(0, 5), min_size=1, max_size=12), st.frozensets(st.integers(0, 12)))
def test_everybody_has_a_round_after_asking_or_the_error_of_one_he_began(
    times: list[float], failing: frozenset[int]
) -> None:
    work = Work(failing)
    errors: list[int] = []

    async def ask(rounds: Rounds, when: float) -> None:
        await trio.sleep(when)
        try:
            await rounds.ask(work)
        except LookupError as error:
            errors.append(error.args[0])
            return
        now = trio.current_time()
        good = [span for number, span in enumerate(work.rounds) if number not in failing]
        assert any(began >= when and ended <= now for began, ended in good)

    async def ask_all() -> None:
        rounds = Rounds()
        async with trio.open_nursery() as nursery:
            for when in times:
                nursery.start_soon(ask, rounds, when)

    trio.run(ask_all, clock=MockClock(autojump_threshold=0))

    assert sorted(errors) == sorted(failing & set(range(len(work.rounds))))  # each is one task's
