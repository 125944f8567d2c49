"""The interface as data: router, description (openapi.py) and documentation come from this table."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import unquote

from kwhost.core.api.types import (
    CallRequest,
    ExecBody,
    FailureBody,
    InstanceUse,
    LeftOut,
    LogEntry,
    NewInstance,
    StatsAnswer,
    Version,
    VolumeBody,
)
from kwhost.core.model.connections import Connections
from kwhost.core.model.daemon import Changes, DaemonInfo, PluginStatus, ProcessEntry
from kwhost.core.model.decisions import Answer, Question, RememberedAnswer
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import AuditRecord, Event
from kwhost.core.model.history import History
from kwhost.core.model.image import ListedImage, StoredImage
from kwhost.core.model.memory import InstanceMemory
from kwhost.core.model.network import PublishedPort
from kwhost.core.model.policy import CallChoice
from kwhost.core.model.policy_views import Explanation, PolicyView
from kwhost.core.model.status import InstanceStatus, TenantStatus
from kwhost.core.model.storage import InstanceStorage
from kwhost.core.model.volume import StoredVolume

__all__ = ["ROUTES", "STREAM_EVENTS", "Access", "Form", "Match", "Parameter", "Route", "find_route"]


class Access(Enum):
    """Who may use a route; what a tenant's user sees there is their tenants' alone."""

    ANYBODY = "anybody"
    USER = "operators and tenants' users"
    OPERATOR = "operators"


class Form(Enum):
    """What the answer looks like."""

    JSON = "application/json"
    EVENTS = "text/event-stream"
    FRAMES = "kwhost-stream"  # the connection is upgraded: api/stream.py
    ARCHIVE = "application/x-tar"


class Parameter(NamedTuple):
    """One of a route's query parameters, with the type of its value; it may be left out unless `required`."""

    name: str
    type: type[Any]
    summary: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. `name` finds its handler. `answer` is the JSON, or one event's; `request` the body."""

    name: str
    method: str
    path: str
    summary: str
    answer: Any = None  # a type, or an alias such as tuple[X, ...]
    request: type[Any] | None = None
    access: Access = Access.USER
    form: Form = Form.JSON
    query: tuple[Parameter, ...] = ()
    status: int = 200
    changes: bool = False  # goes into the audit
    body: Form = Form.JSON


# What may come on any event stream beside the route's own events.
STREAM_EVENTS: Mapping[str, Any] = {"left-out": LeftOut, "error": FailureBody}

_FOLLOW = Parameter("follow", bool, "go on with what comes")
_TENANT = Parameter("tenant", str, "only this tenant's")
_OF = Parameter("instance", str, "only what is about this one, named as in paths")
_OWNER = Parameter("tenant", str, "whose; without it those of `default`, or of the caller's only tenant")
_WHOSE = Parameter("tenant", str, "whose; without it the operator's, or those of the caller's only tenant")
_TIMEOUT = Parameter("timeout", float, "seconds until it is killed; the definition's stop_timeout otherwise")
_PATH = Parameter("path", str, "in the instance, absolute", required=True)
_STDIN = Parameter("stdin", bool, "be the program's standard input too")
_CALL = Parameter("call", str, "name and arguments, as for kwhost policy explain", required=True)
_ONE = "/v1/instances/{ref}"


def _read(name: str, path: str, answer: Any, summary: str, *query: Parameter, **more: Any) -> Route:
    return Route(name=name, method="GET", path=path, answer=answer, summary=summary, query=query, **more)


def _act(name: str, summary: str, *query: Parameter, **more: Any) -> Route:
    return Route(
        name=name,
        method="POST",
        path=f"{_ONE}/{name}",
        answer=InstanceStatus,
        summary=summary,
        query=query,
        **{"changes": True} | more,
    )


ROUTES: tuple[Route, ...] = (
    _read("version", "/v1/version", Version, "the daemon's version", access=Access.ANYBODY),
    _read("openapi", "/v1/openapi.json", dict[str, Any], "this interface, as OpenAPI 3.1"),
    _read("info", "/v1/info", DaemonInfo, "about the daemon and its host"),
    _read(
        "list",
        "/v1/instances",
        tuple[InstanceStatus, ...],
        "the instances that have not ended",
        _TENANT,
        Parameter("all", bool, "those that have ended too"),
    ),
    Route(
        name="create",
        method="POST",
        path="/v1/instances",
        request=NewInstance,
        answer=InstanceStatus,
        summary="make an instance",
        query=(Parameter("start", bool, "and start it: all or nothing"),),
        status=201,
        changes=True,
    ),
    _read("inspect", _ONE, InstanceStatus, "one instance, by ID, NAME or TENANT/NAME (with the / as %2F)"),
    Route(
        name="remove",
        method="DELETE",
        path=_ONE,
        answer=InstanceStatus,
        summary="forget an instance and its log",
        query=(Parameter("force", bool, "kill it first if it runs"),),
        changes=True,
    ),
    _act("start", "start an instance; the answer comes once its program runs"),
    _act("stop", "ask the program to end, kill it if it does not; the answer comes once it ended", _TIMEOUT),
    _act("kill", "send the program a signal", Parameter("signal", int, "its number; 9 otherwise")),
    _act("pause", "freeze an instance"),
    _act("resume", "let a paused instance go on"),
    _act("restart", "stop, then start", _TIMEOUT),
    _act("wait", "wait until an instance has ended and will not be restarted by itself", changes=False),
    _act(
        "exec",
        "run a further program in an instance, its streams on this connection",
        request=ExecBody,
        form=Form.FRAMES,
        status=101,
    ),
    _act(
        "attach",
        "the program's streams on this connection",
        _STDIN,
        Parameter("start", bool, "start the instance with this connection to its streams"),
        form=Form.FRAMES,
        status=101,
    ),
    Route(
        name="publish",
        method="POST",
        path=f"{_ONE}/ports",
        request=PublishedPort,
        answer=InstanceStatus,
        summary="lead a port of the host to an instance",
        changes=True,
    ),
    Route(
        name="unpublish",
        method="DELETE",
        path=f"{_ONE}/ports",
        answer=InstanceStatus,
        summary="lead a port of the host to an instance no more",
        query=(Parameter("port", str, "as kwhost run -p has it", required=True),),
        changes=True,
    ),
    _read("definition", f"{_ONE}/definition", InstanceDefinition, "what an instance was asked to be"),
    _read("instance-stats", f"{_ONE}/stats", StatsAnswer, "what an instance uses, and its system calls"),
    _read(
        "connections",
        f"{_ONE}/connections",
        Connections,
        "what an instance is connected with, and listens at",
    ),
    _read("memory", f"{_ONE}/memory", InstanceMemory, "what an instance's memory is for"),
    _read("storage", f"{_ONE}/storage", InstanceStorage, "what an instance's files are"),
    _read("history", f"{_ONE}/history", History, "what an instance used in the last hours, each ten seconds"),
    _read("top", f"{_ONE}/top", tuple[ProcessEntry, ...], "the processes of an instance"),
    _read(
        "logs",
        f"{_ONE}/logs",
        LogEntry,
        "what an instance's program wrote, one event `line` each",
        _FOLLOW,
        Parameter("tail", int, "at most so many of the newest lines"),
        Parameter("since", float, "only what was written at this time or later"),
        Parameter("after", str, "only what follows the line with this id"),
        Parameter("rate", int, "after the first second at most so many lines a second"),
        form=Form.EVENTS,
    ),
    _read("archive-get", f"{_ONE}/files", None, "a file or directory as tar", _PATH, form=Form.ARCHIVE),
    Route(
        name="archive-put",
        method="PUT",
        path=f"{_ONE}/files",
        answer=InstanceStatus,
        summary="unpack a tar archive in a directory",
        query=(_PATH,),
        body=Form.ARCHIVE,
        changes=True,
    ),
    _read(
        "events",
        "/v1/events",
        Event,
        "the journal, one event `event` each, its sequence number as id",
        _FOLLOW,
        Parameter(
            "after",
            int,
            "begin after this sequence number; otherwise with the oldest, or with what is new if following",
        ),
        Parameter("tail", int, "begin with so many of the newest instead, at most 10000"),
        _TENANT,
        _OF,
        form=Form.EVENTS,
    ),
    _read(
        "stats",
        "/v1/stats",
        tuple[InstanceUse, ...],
        "what each running instance uses, in one event `stats`; one a second if following",
        _FOLLOW,
        _TENANT,
        form=Form.EVENTS,
    ),
    _read(
        "images",
        "/v1/images",
        tuple[ListedImage, ...],
        "the images that a tenant may use; without one, those that the operator shares",
        _WHOSE,
        Parameter("all", bool, "those of the operator and of all tenants that the caller may see instead"),
    ),
    Route(
        name="image-add",
        method="PUT",
        path="/v1/images",
        answer=tuple[ListedImage, ...],
        summary="add the images of an archive, or one out of the archive of a root file system",
        query=(
            _WHOSE,
            Parameter("kind", str, "`images` (docker-archive or oci-archive), or `root`", required=True),
            Parameter("name", str, "what the only image is called"),
        ),
        status=201,
        body=Form.ARCHIVE,
        changes=True,
    ),
    _read("image", "/v1/images/{image}", StoredImage, "one image, by NAME[:TAG] or digest", _WHOSE),
    Route(
        name="image-remove",
        method="DELETE",
        path="/v1/images/{image}",
        answer=StoredImage,
        summary="forget an image's name; what nothing else needs goes with it",
        query=(_WHOSE,),
        changes=True,
    ),
    Route(
        name="images-prune",
        method="POST",
        path="/v1/prune/images",
        answer=tuple[ListedImage, ...],
        summary="forget the images that no instance is made of",
        query=(_WHOSE,),
        changes=True,
    ),
    _read(
        "volumes",
        "/v1/volumes",
        tuple[StoredVolume, ...],
        "a tenant's volumes",
        _OWNER,
        Parameter("all", bool, "those of all tenants that the caller may see instead"),
    ),
    Route(
        name="volume-create",
        method="POST",
        path="/v1/volumes",
        answer=StoredVolume,
        summary="make a volume",
        query=(_OWNER,),
        request=VolumeBody,
        status=201,
        changes=True,
    ),
    _read("volume", "/v1/volumes/{volume}", StoredVolume, "one volume, with what is used of it", _OWNER),
    Route(
        name="volume-remove",
        method="DELETE",
        path="/v1/volumes/{volume}",
        answer=StoredVolume,
        summary="remove a volume with its files",
        query=(_OWNER,),
        changes=True,
    ),
    Route(
        name="volumes-prune",
        method="POST",
        path="/v1/prune/volumes",
        answer=tuple[StoredVolume, ...],
        summary="remove the volumes that no instance has, with their files",
        query=(_OWNER,),
        changes=True,
    ),
    _read("tenants", "/v1/tenants", tuple[TenantStatus, ...], "tenants with their quotas and what is used"),
    _read("tenant", "/v1/tenants/{tenant}", TenantStatus, "one tenant"),
    _read("policies", "/v1/policies", tuple[str, ...], "the names of all policies", access=Access.OPERATOR),
    _read("policy", "/v1/policies/{policy}", PolicyView, "a policy's rules", access=Access.OPERATOR),
    _read(
        "explain",
        "/v1/policies/{policy}/explain",
        Explanation,
        "what a policy decides on a call, and why",
        _CALL,
        access=Access.OPERATOR,
    ),
    _read(
        "instance-policy",
        f"{_ONE}/policy",
        PolicyView,
        "an instance's rules, layer by layer, and how often each decided",
    ),
    _read(
        "choices",
        f"{_ONE}/policy/rules",
        tuple[CallChoice, ...],
        "the calls that operators allowed or denied an instance, on top of its policy",
        access=Access.OPERATOR,
    ),
    Route(
        name="choose",
        method="PUT",
        path=f"{_ONE}/policy/rules",
        request=CallRequest,
        answer=PolicyView,
        summary="allow or deny an instance a call from here on, over all its runs; null takes it back",
        access=Access.OPERATOR,
        changes=True,
    ),
    _read(
        "instance-explain",
        f"{_ONE}/policy/explain",
        Explanation,
        "what all layers of an instance decide on a call, and why",
        _CALL,
    ),
    _read(
        "questions",
        "/v1/questions",
        tuple[Question, ...],
        "the calls that wait for an answer, oldest first",
        _TENANT,
    ),
    Route(
        name="answer",
        method="POST",
        path="/v1/questions/{question}/answer",
        request=Answer,
        answer=Question,
        summary="answer a question, once, for the instance's run, or for ever",
        access=Access.OPERATOR,
        changes=True,
    ),
    _read(
        "answers", "/v1/answers", tuple[RememberedAnswer, ...], "the answers that are given again", _TENANT
    ),
    Route(
        name="forget",
        method="DELETE",
        path="/v1/answers/{answer}",
        answer=RememberedAnswer,
        summary="forget an answer, so that the same is asked again",
        access=Access.OPERATOR,
        changes=True,
    ),
    _read(
        "audit",
        "/v1/audit",
        tuple[AuditRecord, ...],
        "who asked for what",
        Parameter("limit", int, "so many of the newest entries; 1000 otherwise"),
        _OF,
        access=Access.OPERATOR,
    ),
    _read("plugins", "/v1/plugins", tuple[PluginStatus, ...], "the plugins", access=Access.OPERATOR),
    Route(
        name="reload",
        method="POST",
        path="/v1/reload",
        answer=Changes,
        summary="read the configuration again and apply what changed",
        access=Access.OPERATOR,
        changes=True,
    ),
    Route(
        name="prune",
        method="POST",
        path="/v1/prune",
        answer=tuple[InstanceStatus, ...],
        summary="remove the instances that have ended and that the configuration does not have",
        access=Access.OPERATOR,
        changes=True,
    ),
    Route(
        name="shutdown",
        method="POST",
        path="/v1/shutdown",
        answer=Version,
        summary="end the daemon",
        query=(Parameter("instances", str, "`stop` them first, or `keep` them running", required=True),),
        access=Access.OPERATOR,
        changes=True,
    ),
)


class Match(NamedTuple):
    """What a method and path mean: `route`, or the methods that this path has; neither: it is unknown."""

    route: Route | None
    arguments: dict[str, str]
    allowed: tuple[str, ...]


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:])


_PATTERNS = tuple((_segments(route.path), route) for route in ROUTES)


def _bind(pattern: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    """The values of the pattern's variables; None where the path is another."""
    if len(pattern) != len(segments):
        return None
    values = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{"):
            if not segment:
                return None
            values[part[1:-1]] = unquote(segment, errors="replace")
        elif part != segment:
            return None
    return values


def find_route(method: str, path: str) -> Match:
    """The route of a request's method and path (without its query, still percent-encoded). HEAD is GET."""
    method = "GET" if method == "HEAD" else method
    segments = _segments(path)
    allowed: list[str] = []
    for pattern, route in _PATTERNS:
        values = _bind(pattern, segments)
        if values is None:
            continue
        if route.method == method:
            return Match(route, values, ())
        allowed += ["GET", "HEAD"] if route.method == "GET" else [route.method]
    return Match(None, {}, tuple(allowed))
