"""What the webhook is asked, and what becomes of its answers."""

import gzip
import hashlib
import hmac
import importlib
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trio
import trio.testing
from kwhost.core.model.decisions import Answer, Scope
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.testing import make_call, make_instance, make_question, wait_until
from webhooks import SECRET, Load, Reaction, Webhook, answer, json_answer

from kwhost_approve.messages import ANSWER_MAX
from kwhost_approve.plugin import Approve

REFUSED = Answer(allow=False)
ALLOWED = Answer(allow=True)


async def test_the_webhook_decides(load: Load, webhook: Webhook) -> None:
    plugin = load()
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == ALLOWED
        webhook.react = json_answer(allow=False)
        assert await plugin.answer(make_question(make_instance())) == REFUSED


async def test_what_is_asked(load: Load, webhook: Webhook) -> None:
    plugin, instance = load(), make_instance()
    question = make_question(instance)
    async with plugin.serving():
        await plugin.answer(question)

    (received,) = webhook.received
    asked = received.question
    assert received.path == "/hook"
    assert len(asked.pop("nonce")) == 32
    assert abs(asked.pop("sent") - time.time()) < 60
    assert asked == {
        "version": 1,
        "id": "q1",
        "time": round(question.time, 3),
        "deadline": round(question.deadline, 3),
        "tenant": "acme",
        "instance": instance.id,
        "name": "web",
        "call": {
            "name": "connect",
            "arguments": ["0x3", "0x7ffd0000", "0x10", "0x0", "0x0", "0x0"],
            "object": "192.0.2.1:443/tcp",
            "pid": 7,
        },
        "rule": {"layer": "instance", "policy": "web", "text": "ask connect"},
    }


async def test_requests_are_signed_and_never_the_same(load: Load, webhook: Webhook) -> None:
    plugin, question = load(), make_question(make_instance())
    async with plugin.serving():
        await plugin.answer(question)
        await plugin.answer(question)

    for received in webhook.received:
        text = received.headers["Kwhost-Timestamp"].encode() + b"." + received.body
        expected = hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()
        assert received.headers["Kwhost-Signature"] == f"v1={expected}"
    first, second = (received.question["nonce"] for received in webhook.received)
    assert first != second


async def test_what_a_guest_names_is_escaped(load: Load, webhook: Webhook) -> None:
    plugin, name = load(), b'/tmp/"\r\n\x1b\xff'
    call = make_call(object=name.decode(errors="surrogateescape"))
    async with plugin.serving():
        await plugin.answer(make_question(make_instance(), call=call))

    (received,) = webhook.received
    assert received.body.isascii()
    assert received.question["call"]["object"] == '/tmp/"\r\n\x1b\ufffd'
    assert bytes.fromhex(received.question["call"]["object_hex"]) == name


@pytest.mark.parametrize(
    ("given", "most", "holds"),
    [
        ("once", "forever", Scope.ONCE),
        ("instance", "forever", Scope.INSTANCE),
        ("forever", "forever", Scope.FOREVER),
        ("forever", "instance", Scope.INSTANCE),
        ("forever", "once", Scope.ONCE),
        ("instance", "once", Scope.ONCE),
    ],
)
@pytest.mark.parametrize("allow", [True, False])
async def test_answers_hold_no_longer_than_configured(
    load: Load, webhook: Webhook, given: str, most: str, holds: Scope, allow: bool
) -> None:
    webhook.react = json_answer(allow=allow, scope=given)
    plugin = load(max_scope=most)
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == Answer(allow=allow, scope=holds)


async def test_a_reason_is_in_the_journal(load: Load, webhook: Webhook) -> None:
    webhook.react = json_answer(allow=False, reason="not at night\nroot logged in")
    plugin = load()
    async with plugin.serving():
        await plugin.answer(make_question(make_instance()))

    assert plugin.lines == ["plugin approve: refuses question q1 of acme/web: not at night root logged in"]


async def test_only_questions_that_it_is_for_are_asked(load: Load, webhook: Webhook) -> None:
    plugin = load(tenants=["acme", "dev-*"], instances=["web*"])
    names = [("acme", "web-1"), ("acme", "db"), ("dev-7", "web"), ("other", "web")]
    async with plugin.serving():
        found = [
            await plugin.answer(
                make_question(make_instance(tenant=TenantName(tenant), name=InstanceName(name)))
            )
            for tenant, name in names
        ]

    assert found == [ALLOWED, None, ALLOWED, None]
    assert len(webhook.received) == 2


def redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(307)
    handler.send_header("Location", "/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 4096)


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"allow": true')


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


YES = b'{"allow": true}'
NO_ANSWERS: list[tuple[Reaction, str]] = [
    (answer(YES, status=500), "status 500"),
    (answer(YES, status=201), "status 201"),
    (redirect, "status 307"),
    (answer(YES, kind="text/html"), "'text/html', not application/json"),
    (answer(gzip.compress(YES), Content_Encoding="gzip"), "compressed"),
    (answer(YES + b" " * ANSWER_MAX), f"more than {ANSWER_MAX} bytes"),
    (endless, f"more than {ANSWER_MAX} bytes"),
    (cut_off, "ends or makes no sense"),
    (hang_up, "ends or makes no sense"),
    (answer(b""), "not as it should be"),
    (answer(b"[true]"), "not as it should be"),
    (answer(b"\xff"), "not as it should be"),
    (answer(b'{"allow": 1}'), "Expected `bool`"),
    (answer(b'{"allow": "true"}'), "Expected `bool`"),
    (answer(b"{}"), "missing required field `allow`"),
    (answer(b'{"allow": true, "scope": "always"}'), "Invalid enum value"),
    (answer(b'{"allow": true, "scop": "once"}'), "unknown field `scop`"),
    (answer(b'{"allow": true} {"allow": false}'), "not as it should be"),
]


@pytest.mark.parametrize(("reaction", "why"), NO_ANSWERS)
@pytest.mark.parametrize(("on_failure", "found"), [("refuse", REFUSED), ("leave", None)])
async def test_what_is_no_proper_answer_allows_nothing(
    load: Load, webhook: Webhook, reaction: Reaction, why: str, on_failure: str, found: Answer | None
) -> None:
    webhook.react = reaction
    plugin = load(on_failure=on_failure)
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == found

    assert len(webhook.received) == 1  # neither redirected nor asked again
    (line,) = plugin.lines
    assert why in line


async def test_failures_are_said_once_until_it_answers_again(load: Load, webhook: Webhook) -> None:
    plugin, works = load(), webhook.react
    async with plugin.serving():
        webhook.react = answer(b"", status=503)
        for _ in range(3):
            await plugin.answer(make_question(make_instance()))
        webhook.react = works
        await plugin.answer(make_question(make_instance()))

    assert len(plugin.lines) == 2
    assert plugin.lines[1] == "plugin approve: the webhook answers again; 3 questions failed"


class Gate:
    """Holds requests up until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.waiting = 0

    def open(self) -> None:
        self._open.set()

    def react(self, handler: BaseHTTPRequestHandler) -> None:
        self.waiting += 1
        self._open.wait(20)
        json_answer(allow=True)(handler)


async def test_who_takes_too_long_is_refused(load: Load, webhook: Webhook) -> None:
    gate = Gate()
    webhook.react = gate.react
    plugin = load(timeout="200ms")
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance())) == REFUSED
    gate.open()

    assert "no answer within 0.2 s" in plugin.lines[0]


async def test_the_answer_comes_before_the_questions_deadline(
    load: Load, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kwhost_approve.webhook._MARGIN_SECONDS", 10.0)
    gate = Gate()
    webhook.react = gate.react
    plugin = load(timeout="1h")
    question = make_question(make_instance(), within=11.0)
    async with plugin.serving():
        assert await plugin.answer(question) == REFUSED
        assert time.time() < question.deadline
    gate.open()


async def test_a_question_that_is_nearly_over_is_not_asked(load: Load, webhook: Webhook) -> None:
    plugin = load()
    async with plugin.serving():
        assert await plugin.answer(make_question(make_instance(), within=0.2)) == REFUSED

    assert not webhook.received


async def test_no_more_requests_at_once_than_configured(load: Load, webhook: Webhook) -> None:
    gate = Gate()
    webhook.react = gate.react
    plugin, answers = load(concurrency=2), []

    async def ask() -> None:
        answers.append(await plugin.answer(make_question(make_instance())))

    async with plugin.serving(), trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(ask)
        await wait_until(lambda: gate.waiting == 2)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert gate.waiting == 2
        gate.open()

    assert answers == [ALLOWED] * 6


async def test_questions_outside_of_its_service_are_refused(load: Load) -> None:
    plugin = load()
    async with plugin.serving():
        pass

    assert await plugin.answer(make_question(make_instance())) == REFUSED


def test_the_package_is_what_the_entry_point_says() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    entry = tomllib.loads(project.read_text())["project"]["entry-points"]["kwhost"]["approve"]
    module, _, name = entry.partition(":")
    assert isinstance(getattr(importlib.import_module(module), name), Approve)
