"""`kwhost system`: what is over goes, everything goes, and nothing else does."""

import io
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kwhost.core.cli.system import main
from kwhost.core.daemon.lock import hold_state
from kwhost.core.errors import Conflict, UsageError
from kwhost.core.model.events import EventKind
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import InstanceState
from kwhost.core.store.tables import Tables
from tests.unit.test_store import ID, RECORD

ENDED = replace(RECORD, configured=False)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir()
    return path


def save(state: Path, *records: object) -> None:
    tables = Tables.open(state / "kwhost.db")
    with tables.transaction():
        for number, record in enumerate(records):
            assert isinstance(record, type(RECORD))
            tables.save_instance(replace(record, id=InstanceId(f"{number:012x}")))
            log = state / "instances" / f"{number:012x}" / "log"
            log.parent.mkdir(parents=True)
            log.touch()
    tables.close()


def read(state: Path) -> list[str]:
    tables = Tables.open(state / "kwhost.db")
    found = sorted(record.id for record in tables.instances())
    tables.close()
    return [str(int(each, 16)) for each in found]


def test_prune_forgets_what_is_over_and_not_configured(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(
        state,
        ENDED,
        replace(ENDED, state=InstanceState.FAILED),
        replace(ENDED, configured=True),
        *(replace(ENDED, state=each) for each in InstanceState if each.value not in ("exited", "failed")),
    )
    kept = [str(number) for number in range(2, 2 + len(InstanceState) - 1)]

    assert main(["prune"]) == 0

    assert read(state) == kept
    assert sorted(int(path.name, 16) for path in (state / "instances").iterdir()) == [
        int(each) for each in kept
    ]
    assert capsys.readouterr().out == "000000000000  acme/web\n000000000001  acme/web\n"
    tables = Tables.open(state / "kwhost.db")
    assert [event.kind for event in tables.events(0, 10, None, None).events] == [EventKind.REMOVED] * 2
    tables.close()


def test_prune_without_anything_makes_nothing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune"]) == 0

    assert list(state.iterdir()) == []
    assert "nothing" in capsys.readouterr().err


def test_a_running_daemons_state_is_left_alone(state: Path) -> None:
    save(state, ENDED)

    with hold_state(state), pytest.raises(Conflict, match="kwhost down"):
        main(["reset"])

    assert read(state) == ["0"]


class Daemon(threading.Thread):
    """Stands for a daemon: holds the state until it was asked for one thing, and answers it."""

    def __init__(self, state: Path, run: Path, answer: str) -> None:
        super().__init__()
        self._state = hold_state(state)
        self._state.__enter__()
        run.mkdir()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(run / "api.sock"))
        self._listener.listen()
        self._answer = answer
        self.asked = ""

    def run(self) -> None:
        connection, _ = self._listener.accept()
        with connection, self._listener:
            self.asked = connection.recv(65_536).decode().partition(" HTTP/")[0]
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self._answer)}\r\n\r\n"
            connection.sendall((head + self._answer).encode())
        self._state.__exit__(None, None, None)


def test_a_running_daemon_prunes_by_itself(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(state, ENDED)
    daemon = Daemon(state, tmp_path / "run", '[{"id": "7", "tenant": "acme", "name": "job"}]')
    daemon.start()

    assert main(["prune"]) == 0

    daemon.join()
    assert daemon.asked == "POST /v1/prune"
    assert capsys.readouterr().out == "7  acme/job\n"
    assert read(state) == ["0"]


def test_reset_with_yes_ends_a_running_daemon_first(tmp_path: Path, state: Path) -> None:
    save(state, ENDED)
    daemon = Daemon(state, tmp_path / "run", "{}")
    daemon.start()

    assert main(["reset", "--yes"]) == 0

    daemon.join()
    assert daemon.asked == "POST /v1/shutdown?instances=stop"
    assert list(tmp_path.iterdir()) == []


class Supervisor(threading.Thread):
    """Stands for the `supervise` of an instance: hangs up as soon as it is told to stop."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        directory.mkdir(parents=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = os.open(directory, os.O_PATH)
        self.listener.bind(f"/proc/self/fd/{here}/control.sock")
        os.close(here)
        self.listener.listen()
        self.told = False

    def run(self) -> None:
        while not self.told:
            connection, _ = self.listener.accept()
            self.told = bool(connection.recv(4096))
            if self.told:
                self.listener.close()
            connection.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "run/instances" / ID)
    supervisor.start()
    yield supervisor
    if supervisor.is_alive():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(supervisor.listener.getsockname())
            connection.send(b"end")
    supervisor.join()


def test_reset_ends_and_removes_everything(tmp_path: Path, state: Path, supervisor: Supervisor) -> None:
    save(state, RECORD, RECORD)

    assert main(["reset", "--yes"]) == 0

    supervisor.join()
    assert supervisor.told
    assert list(tmp_path.iterdir()) == []


def test_reset_leaves_what_others_put_there(tmp_path: Path, state: Path) -> None:
    save(state, RECORD)
    mine = [state / "thesis.txt", state / "instances/notes", tmp_path / "run/ids.lock"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.touch()

    assert main(["reset", "--yes"]) == 0

    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(mine)


def test_reset_does_not_ask_where_nobody_answers(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(state, RECORD)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    with pytest.raises(UsageError, match="--yes"):
        main(["reset"])

    assert read(state) == ["0"]


@pytest.mark.parametrize(("answer", "left"), [("y", False), ("", True), ("no", True)])
def test_reset_asks_before(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    left: bool,
) -> None:
    save(state, RECORD)
    terminal = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)

    assert main(["reset"]) == int(left)

    assert (state / "kwhost.db").exists() == left
    assert "removes 1 instances" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["erase"], ["prune", "--yes"], ["reset", "x"]])
def test_nonsense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        main(arguments)
