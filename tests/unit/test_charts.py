"""Values over time as blocks: each at its place, and none beyond the chart."""

from hypothesis import given
from hypothesis import strategies as st

from kwhost.tui.chart import Point, buckets, draw, rates


def test_rates_are_those_between_neighbours_of_one_run() -> None:
    counters = [
        (0.0, 10.0),
        (10.0, 30.0),
        (20.0, 5.0),
        (30.0, 6.0),
        (100.0, 99.0),
        (110.0, None),
        (120.0, 1.0),
    ]

    assert rates(counters, 30.0) == [(10.0, 2.0), (30.0, 0.1)]


def test_each_part_of_the_time_has_the_mean_of_its_values() -> None:
    points = [Point(1.0, 4.0), Point(2.0, 6.0), Point(7.0, 1.0), Point(-5.0, 9.0), Point(15.0, 9.0)]

    assert buckets(points, 0.0, 10.0, 5, 1.0) == [5.0, None, None, 1.0, None]
    assert buckets([Point(10.0, 3.0)], 0.0, 10.0, 5, 4.0) == [None, None, None, 3.0, 3.0]


@given(
    st.lists(st.builds(Point, st.floats(-1e3, 1e3), st.floats(0, 1e9)), max_size=20),
    st.integers(1, 50),
    st.sampled_from([0.5, 10.0, 60.0]),
)
def test_no_value_leaves_the_chart(points: list[Point], count: int, step: float) -> None:
    values = buckets(points, 0.0, 600.0, count, step)
    lines = draw(values, 4, max([1.0, *(point.value for point in points)]))

    assert len(values) == count
    assert [len(line) for line in lines] == [count] * 4


def test_a_chart_is_high_where_values_are() -> None:
    assert draw([None, 0.0, 1.0, 12.0, 16.0], 2, 16.0) == ["   ▄█", " ▁▁██"]
