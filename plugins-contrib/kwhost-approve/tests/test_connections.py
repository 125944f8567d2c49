"""How the webhook is reached, and whom the plugin takes for it."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme
from kwhost.core.model.decisions import Answer
from kwhost.testing import LoadPlugin, make_instance, make_question, wait_until
from webhooks import SECRET, Load, Webhook, serve_webhook

from kwhost_approve.plugin import Approve

REFUSED = Answer(allow=False)
ALLOWED = Answer(allow=True)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Webhook]:
    """A webhook with a certificate for 127.0.0.1."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(trust)
    with serve_webhook(trust) as webhook:
        yield webhook


def write_authority(path: Path, authority: trustme.CA) -> str:
    authority.cert_pem.write_to_path(str(path))
    return str(path)


async def test_a_certificate_of_the_named_authority_is_trusted(
    load: Load, secure: Webhook, authority: trustme.CA, tmp_path: Path
) -> None:
    plugin = load(url=secure.url, ca_file=write_authority(tmp_path / "ca.pem", authority))
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == ALLOWED


@pytest.mark.parametrize("ca", ["the host's", "another"])
async def test_another_certificate_is_not(load: Load, secure: Webhook, tmp_path: Path, ca: str) -> None:
    ca_file = "" if ca == "the host's" else write_authority(tmp_path / "ca.pem", trustme.CA())
    plugin = load(url=secure.url, ca_file=ca_file, timeout="2s")
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == REFUSED

    assert not secure.received
    assert "certificate verify failed" in plugin.lines[0]


async def test_a_certificate_for_another_name_is_not(
    load: Load, secure: Webhook, authority: trustme.CA, tmp_path: Path
) -> None:
    url = secure.url.replace("127.0.0.1", "localhost")
    ca_file = write_authority(tmp_path / "ca.pem", authority)
    plugin = load(url=url, ca_file=ca_file, timeout="2s")
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == REFUSED

    assert not secure.received


async def test_a_webhook_that_comes_up_in_time_is_asked(load: Load, secret_file: Path) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        plugin = load(url=f"http://127.0.0.1:{place.getsockname()[1]}/hook")
        async with plugin.serving(), trio.open_nursery() as nursery:
            answers: list[Answer | None] = []

            async def ask() -> None:
                answers.append(await plugin.answer(make_question(make_instance())))

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert not answers
            place.listen()
            connection, _ = await trio.to_thread.run_sync(place.accept)
            with connection:
                await trio.to_thread.run_sync(_answer_by_hand, connection)
            await wait_until(lambda: answers)

    assert answers == [ALLOWED]


def _answer_by_hand(connection: socket.socket) -> None:
    data = b""
    while not data.endswith(b"}}"):  # the rule's and the question's
        data += connection.recv(4096)
    body = b'{"allow": true}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


async def test_a_webhook_that_is_not_there_is_said(load: Load) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{place.getsockname()[1]}/hook"
        plugin = load(url=url, timeout="1s")
        async with plugin.serving():
            assert await plugin.answer(make_question(make_instance())) == REFUSED

    assert "no answer within 1 s: all attempts to connect to 127.0.0.1" in plugin.lines[0]


async def test_no_proxy_of_the_environment_is_used(
    load: Load, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    plugin = load()
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == ALLOWED


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [(SECRET, 0o644, "open to others"), ("short", 0o600, "holds no secret"), ("", 0o600, "holds no secret")],
)
async def test_a_bad_secret_is_said_and_nothing_is_asked(
    load: Load, webhook: Webhook, secret_file: Path, content: str, mode: int, reason: str
) -> None:
    secret_file.write_text(content)
    secret_file.chmod(mode)
    plugin = load()
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == REFUSED

    assert reason in plugin.faults[0]
    assert SECRET not in "".join([*plugin.faults, *plugin.lines])
    assert not webhook.received
    plugin.faults.clear()


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"url": "http://approve.example.org/"}, "can be forged"),
        ({"url": "http://192.0.2.1/"}, "can be forged"),
        ({"url": "http://localhost/"}, "can be forged"),
        ({"url": "ftp://127.0.0.1/"}, "url must be https"),
        ({"url": "https://"}, "url must be https"),
        ({"url": "https://x:99999/"}, "no URL"),
        ({"url": "https://user:word@x/"}, "neither a user"),
        ({"url": "https://x/\r\nX: y"}, "url"),
        ({"secret_file": "secret"}, "absolute"),
        ({"secret_file": ""}, "absolute"),
        ({"ca_file": "ca.pem"}, "absolute"),
        ({"timeout": "0s"}, "from 100ms to 1h"),
        ({"timeout": "soon"}, "no duration"),
        ({"on_failure": "allow"}, "Invalid enum value"),
        ({"max_scope": "always"}, "Invalid enum value"),
        ({"concurrency": 0}, ">= 1"),
        ({"tenant": "acme"}, "did you mean tenants"),
    ],
)
def test_a_wrong_configuration_is_said(load_plugin: LoadPlugin, keys: dict[str, object], reason: str) -> None:
    section = {"url": "https://x/", "secret_file": "/x", **keys}
    with pytest.raises(AssertionError, match=reason):
        load_plugin(Approve(), "approve", **section)
