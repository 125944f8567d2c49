"""How many lines of a log a client is sent."""

from kwhost.core.api.line_cap import LineCap


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_second_has_all_and_each_other_one_so_many() -> None:
    clock = Clock()
    cap = LineCap(10, clock)
    assert cap.grant(5000) == 5000

    clock.now += 1.0
    assert [cap.grant(4), cap.grant(4), cap.grant(4), cap.grant(4)] == [4, 4, 2, 0]
    assert not cap.is_due()

    clock.now += 1.0
    assert cap.is_due()
    assert cap.take_left_out() == 6
    assert cap.grant(100) == 10


def test_without_a_rate_nothing_is_left_out() -> None:
    clock = Clock()
    cap = LineCap(None, clock)
    clock.now += 5.0

    assert cap.grant(10**6) == 10**6
    assert cap.left_out == 0


def test_what_was_left_out_is_told_once() -> None:
    clock = Clock()
    cap = LineCap(1, clock)
    clock.now += 1.0
    cap.grant(3)

    assert cap.take_left_out() == 2
    assert cap.take_left_out() == 0
