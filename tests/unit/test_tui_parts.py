"""The terminal interface's pure parts."""

import gc
import re
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.api.types import InstanceUse
from kwhost.core.cli.tui import main as tui_command
from kwhost.core.errors import ApiError, ConfigError
from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.status import Health, InstanceState, InstanceStatus, Usage
from kwhost.tui.actions import ACTIONS, command_line
from kwhost.tui.emulator import Emulator
from kwhost.tui.filters import matcher
from kwhost.tui.fleet import HISTORY, Fleet, Row
from kwhost.tui.format import age, bar, flow, sparkline
from kwhost.tui.keys import KEYS, load_keymap
from kwhost.tui.latency import PLACES, added, grown, latency, quantile, skyline
from kwhost.tui.log_buffer import LINES_MAX, LogBuffer
from kwhost.tui.panes.network import Refusal, refusals
from kwhost.tui.panes.refusals import count_refusals
from kwhost.tui.sse import EventParser
from kwhost.tui.terminal_keys import encode_key, encode_paste

ID = InstanceId("0123456789ab")


def status(**fields: Any) -> InstanceStatus:
    given: dict[str, Any] = {
        "id": ID,
        "name": InstanceName("web-1"),
        "tenant": TenantName("acme"),
        "engine": "direct",
        "isolation": "vm",
        "state": InstanceState.RUNNING,
        "health": Health.NONE,
        "pid": 1,
        "image": "host",
        "command": ("true",),
        "created": 0.0,
        "started": 0.0,
        "ended": None,
        "exit_code": None,
        "reason": None,
        "message": "",
        "restarts": 0,
    }
    return InstanceStatus(**given | fields)


def use(cpu: float, calls: int) -> InstanceUse:
    usage = Usage(cpu_seconds=cpu, calls=calls, refused=0)
    return InstanceUse(
        id=ID, name=InstanceName("web-1"), tenant=TenantName("acme"), state=InstanceState.RUNNING, usage=usage
    )


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        ("", True),
        ("web", True),
        ("ACME/w", True),
        ("!web", False),
        ("~aw1", True),
        ("~1wa", False),
        ("state:run", True),
        ("!state:run", False),
        ("tenant:acme web", True),
        ("tenant:acme db", False),
        ("Tenant:ACME", True),
        ("/^ACME/WEB-[12]$/", True),
        ("!/^acme/", False),
        ("/^web/", False),
        ("/(/", False),
        ("/web", True),
    ],
)
def test_a_filter_fits_or_not(line: str, fits: bool) -> None:
    assert matcher(line)(Row(status())) is fits


def test_rates_are_what_came_in_the_time_between() -> None:
    fleet = Fleet()
    fleet.take_list([status()])
    fleet.measure([use(1.0, 100)], 10.0)
    fleet.measure([use(1.5, 300)], 12.0)
    row = fleet.row(ID)

    assert row
    assert (row.cpu, row.calls) == (25.0, 100.0)


def test_a_counter_that_went_back_is_no_negative_rate() -> None:
    fleet = Fleet()
    fleet.take_list([status()])
    fleet.measure([use(9.0, 900)], 10.0)
    fleet.measure([use(0.1, 3)], 11.0)
    row = fleet.row(ID)

    assert row
    assert row.calls == 0.0


def test_history_is_bounded() -> None:
    fleet = Fleet()
    fleet.take_list([status()])
    for second in range(HISTORY * 2):
        fleet.measure([use(second, second)], float(second))
    row = fleet.row(ID)

    assert row
    assert HISTORY <= len(row.cpu_history) < 2 * HISTORY


def networked(time: float) -> InstanceUse:
    """Of one that sends 1000 bytes a second, of which two packets are refused."""
    usage = Usage(sent_bytes=int(time * 1000), received_bytes=50, refused_packets={"egress": int(time * 2)})
    return InstanceUse(
        id=ID, name=InstanceName("web-1"), tenant=TenantName("acme"), state=InstanceState.RUNNING, usage=usage
    )


def test_what_a_network_refuses_is_told_by_reason_and_second() -> None:
    fleet = Fleet()
    fleet.take_list([status()])
    fleet.measure([networked(10)], 10.0)
    fleet.measure([networked(14)], 14.0)
    row = fleet.row(ID)

    assert row
    assert (row.sent, row.received) == (1000.0, 0.0)
    assert refusals(row) == [Refusal("to where no egress rule allows", 28, 2.0)]


def test_a_first_measurement_has_no_rates_and_an_unknown_reason_its_own_name() -> None:
    row = Row(status(), usage=Usage(refused_packets={"whatever": 3}))

    assert refusals(row) == [Refusal("whatever", 3, None)]


@pytest.mark.parametrize(
    ("received", "sent", "text"),
    [(None, None, "-"), (0.0, 0.0, "·"), (1234.0, 37.0, "↓1.2k ↑37"), (999_499.0, 999_499.0, "↓999k ↑999k")],
)
def test_flows_fit_in_eleven_characters(received: float | None, sent: float | None, text: str) -> None:
    assert flow(received, sent) == text
    assert len(text) <= 11


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.9, "59s"), (3600, "1h"), (90061, "1d1h")])
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_bars_and_sparklines_have_their_width() -> None:
    assert bar(0.5, 4) == "██  "
    assert sparkline([0, 1, 8], 5) == "  ·▁█"


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(1, 50))
def test_events_do_not_depend_on_how_they_were_cut(texts: list[bytes], size: int) -> None:
    whole = b"".join(b'event: e\nid: 4\ndata: "%s"\n\n' % text.hex().encode() for text in texts)
    parser = EventParser()
    events = [
        event for start in range(0, len(whole), size) for event in parser.feed(whole[start : start + size])
    ]

    assert [(event.name, event.data, event.id) for event in events] == [
        ("e", text.hex(), "4") for text in texts
    ]


def test_what_is_no_event_is_told() -> None:
    with pytest.raises(ApiError, match="no event"):
        EventParser().feed(b"hello\n\n")


def test_a_log_is_bounded_also_as_it_is_shown() -> None:
    buffer = LogBuffer()
    buffer.arrange(10, None)
    for number in range(LINES_MAX + 100):
        buffer.add(number, "stdout", "x" * 25)

    assert len(buffer.lines) == LINES_MAX
    assert len(buffer.shown) == 3 * LINES_MAX
    assert buffer.dropped == 100


def test_parts_of_a_line_become_one() -> None:
    buffer = LogBuffer()
    buffer.add(1, "stdout", "one ", partial=True)
    buffer.add(1, "stderr", "other")
    buffer.add(2, "stdout", "line")

    assert [line.text for line in buffer.lines] == ["other", "one line"]


def test_the_alternate_screen_is_left_as_it_was_entered() -> None:
    emulator = Emulator(20, 3)
    emulator.feed(b"before\x1b[?1049h\x1b[Hvim\x1b[2;1H~")
    assert emulator.text.split("\n")[0] == "vim"

    emulator.feed(b"\x1b[?1049l")
    assert emulator.text.split("\n")[0] == "before"


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.from_regex(re.compile(rb"\x1b[\[\]()#%P][0-9;?>=!]{0,12}[ -~]"), fullmatch=True),
        ),
        max_size=30,
    )
)
def test_nothing_that_a_program_writes_upsets_the_terminal(pieces: list[bytes]) -> None:
    emulator = Emulator(20, 5)
    for piece in pieces:
        emulator.feed(piece)
    emulator.resize(7, 3)

    assert (emulator.columns, emulator.rows) == (7, 3)
    assert len(emulator.text.split("\n")) == 3


def test_a_sequence_without_an_end_is_given_up() -> None:
    emulator = Emulator(20, 3)
    emulator.feed(b"\x1b]0;" + b"A" * 200_000)
    emulator.feed(b"\r\nhere")

    assert "here" in emulator.text


def test_a_program_that_saves_its_cursor_for_ever_takes_no_memory() -> None:
    emulator = Emulator(20, 3)
    emulator.feed(b"\x1b7" * 100)
    tracemalloc.start()
    try:
        emulator.feed(b"\x1b7" * 20_000)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 100_000


def test_marks_without_number_on_a_letter_are_few() -> None:
    emulator = Emulator(20, 3)
    emulator.feed(("e" + "\u0301" * 30_000 + "x").encode())

    assert emulator.line(0)[1].data == "x"
    assert len(emulator.line(0)[0].data) <= 9


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("a", "a", b"a"),
        ("enter", "\r", b"\r"),
        ("ctrl+c", "\x03", b"\x03"),
        ("up", None, b"\x1b[A"),
        ("ctrl+left", None, b"\x1b[1;5D"),
        ("alt+b", None, b"\x1bb"),
        ("f5", None, b"\x1b[15~"),
        ("é", "é", "é".encode()),
    ],
)
def test_keys_are_sent_as_a_terminal_sends_them(key: str, character: str | None, sent: bytes) -> None:
    assert encode_key(key, character) == sent


def test_what_is_pasted_cannot_end_its_brackets() -> None:
    assert encode_paste("a\x1b[201~b\n", bracketed=True) == b"\x1b[200~a[201~b\r\x1b[201~"


def test_a_command_line_is_quoted() -> None:
    assert command_line(ACTIONS["remove"], ["acme/web", "a b"]) == "kwhost rm -f acme/web 'a b'"


def test_no_key_has_two_meanings(tmp_path: Path) -> None:
    assert load_keymap(tmp_path / "none") == {}
    assert len({key.id for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"overview.stopp" = "y"', "did you mean 'overview.stop'"),
        ('"overview.stop" = "q"', "q is both everywhere.quit and overview.stop"),
        ('"overview.stop" = 3', "write a key such as"),
        ("overview", "tui-keys.toml"),
    ],
)
def test_mistakes_in_ones_own_keys_are_told(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tui-keys.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=re.escape(message)):
        load_keymap(path)


def test_the_calls_of_all_places_are_told_by_their_quantiles() -> None:
    histogram = (0, 0, 0, 50, 0, 50)

    assert quantile(histogram, 0.25) == 12e-9
    assert quantile(histogram, 0.5) == 16e-9
    assert quantile(histogram, 1.0) == 64e-9
    assert quantile((), 0.5) is None


@given(st.lists(st.integers(0, 2**32 - 1), max_size=PLACES), st.floats(0.01, 1.0))
def test_a_quantile_is_between_the_fastest_and_the_slowest_calls(histogram: list[int], share: float) -> None:
    found = quantile(histogram, share)

    places = [place for place, count in enumerate(histogram) if count]
    if places:
        assert found is not None
        assert 1 << places[0] <= round(found * 1e9, 3) <= 1 << places[-1] + 1
    else:
        assert found is None


def test_histograms_are_added_and_subtracted_whatever_their_length() -> None:
    assert added([(1, 2), (), (1, 2, 3)]) == (2, 4, 3)
    assert grown((1, 2, 3), (1, 1)) == (0, 1, 3)
    assert grown((1,), (5, 5)) == (1,)  # another run's


@given(st.lists(st.integers(0, 2**32 - 1), max_size=PLACES), st.integers(1, 4), st.integers(1, 3))
def test_a_skyline_has_its_size_and_shows_whatever_there_is(
    histogram: list[int], height: int, step: int
) -> None:
    lines = skyline(histogram, height, step)

    assert [len(line) for line in lines] == [PLACES * step] * height
    assert [lines[-1][place * step] != " " for place in range(len(histogram))] == [
        count > 0 for count in histogram
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (2e-9, "2 ns"), (1.5e-6, "1.5 \u00b5s"), (321e-6, "321 \u00b5s"), (0.9996, "1.0 s"),
        (123456.0, "123456 s"),
    ],
)  # fmt: skip
def test_latencies_are_short(seconds: float | None, text: str) -> None:
    assert latency(seconds) == text


def test_refusals_of_a_kind_are_counted_with_those_that_were_told_together() -> None:
    data = {"call": "rmdir", "rule": "errno:EPERM rmdir", "layer": "instance"}
    events = [
        Event(time=1.0, kind=EventKind.DENIED, data=data, seq=1),
        Event(time=2.0, kind=EventKind.STARTED, seq=2),
        Event(time=3.0, kind=EventKind.DENIED, data=data | {"count": "23"}, seq=3),
        Event(time=4.0, kind=EventKind.DENIED, data={"call": "bpf", "count": "evil"}, seq=4),
    ]

    found = [(each.call, each.rule, each.times, each.newest) for each in count_refusals(events)]

    assert found == [("rmdir", "errno:EPERM rmdir", 24, 3), ("bpf", "", 1, 4)]


def test_the_command_collects_garbage_for_it_goes_on_for_days(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("kwhost.tui.app.run", lambda *_, **__: seen.append(gc.isenabled()))
    gc.disable()
    try:
        tui_command(["--host", "/nowhere"])
    finally:
        gc.enable()
        gc.unfreeze()

    assert seen == [True]
