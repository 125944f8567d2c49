"""The table of routes, and what comes from it: routing, handlers, errors' statuses, the OpenAPI document."""

import json
import re
from typing import Any

import pytest

from kwhost.core import errors
from kwhost.core.api.auth import Caller, check_access, visible_tenants
from kwhost.core.api.dispatch import ALL_HANDLERS
from kwhost.core.api.failures import FAILURES, describe, error_body, revive
from kwhost.core.api.openapi import describe_api
from kwhost.core.api.routes import ROUTES, Access, Form, Route, find_route
from kwhost.core.errors import ApiError, KwhostError, LaunchError, NotAvailableYet, PermissionDenied
from kwhost.core.model.ids import TenantName
from kwhost.core.model.tenant import Tenant

ACME = TenantName("acme")
TENANTS = {ACME: Tenant(name=ACME, users=("alice",))}
ERRORS = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, KwhostError)
]


def test_every_route_has_its_handler_and_every_handler_its_route() -> None:
    assert sorted(ALL_HANDLERS) == sorted(route.name for route in ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_is_found_by_its_path(route: Route) -> None:
    path = route.path.replace("{ref}", "acme%2Fweb").replace("{tenant}", "acme")
    path = re.sub(r"\{\w+\}", "acme", path)

    match = find_route(route.method, path)

    assert match.route is route
    assert all(value in ("acme/web", "acme") for value in match.arguments.values())


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v1", "/v2/version", "/v1/version/", "//v1/version", "/v1/instances//stop", "/V1/version"],
)
def test_other_paths_are_unknown(path: str) -> None:
    assert find_route("GET", path)[::2] == (None, ())


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_what_changes_something_is_audited(route: Route) -> None:
    assert route.changes == (route.method != "GET" and route.name != "wait")


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_a_kind_and_status_of_its_own(error: type[KwhostError]) -> None:
    assert error in FAILURES
    kinds = [failure.kind for failure in FAILURES.values()]
    assert len(set(kinds)) == len(kinds)
    assert 400 <= FAILURES[error].status < 600


@pytest.mark.parametrize("error", ERRORS)
def test_errors_come_back_as_what_they_were(error: type[KwhostError]) -> None:
    original = LaunchError("why", 126) if error is LaunchError else error("why")

    again = revive(json.loads(json.dumps(error_body(original))))

    assert (type(again), str(again)) == (error, str(original))
    assert again.exit_status == original.exit_status


def test_a_text_that_a_class_completes_is_not_completed_twice() -> None:
    assert str(revive(error_body(NotAvailableYet("the moon")))) == "the moon is not available yet"


@pytest.mark.parametrize(
    "body", [None, [], {}, {"error": 1}, {"error": {"kind": "usage"}}, {"error": {"message": 1}}]
)
def test_what_is_no_error_becomes_one(body: object) -> None:
    assert type(revive(body)) is ApiError
    assert type(revive({"error": {"kind": "newer", "message": "text"}})) is ApiError


def test_errors_that_are_not_kwhosts_own_keep_their_text() -> None:
    body = error_body(ValueError("secret"))

    assert "secret" not in str(body)
    assert describe(ValueError()).status == 500


def caller(user: str, *, privileged: bool = False, local: bool = True) -> Caller:
    return Caller(pid=1, uid=5, user=user, privileged=privileged, local=local)


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        (caller("root", privileged=True), set(Access)),
        (caller("alice"), {Access.ANYBODY, Access.USER}),
        (caller("mallory"), {Access.ANYBODY}),
        (caller("root", privileged=True, local=False), {Access.ANYBODY}),
        (caller("alice", local=False), {Access.ANYBODY}),
    ],
)
def test_who_may_do_what(who: Caller, allowed: set[Access]) -> None:
    visible = visible_tenants(who, TENANTS)
    for access in Access:
        if access in allowed:
            check_access(access, who, visible)
        else:
            with pytest.raises(PermissionDenied):
                check_access(access, who, visible)


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + references(list(value.values()))
    if isinstance(value, list):
        return [reference for entry in value for reference in references(entry)]
    return []


def test_the_description_is_json_and_every_reference_in_it_leads_somewhere() -> None:
    document = json.loads(json.dumps(describe_api(), allow_nan=False))
    assert document["openapi"] == "3.1.0"
    for reference in references(document):
        at: Any = document
        assert reference.startswith("#/")
        for part in reference[2:].split("/"):
            at = at[part]
        assert "type" in at or "enum" in at


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_is_described(route: Route) -> None:
    operation = describe_api()["paths"][route.path][route.method.lower()]

    assert operation["operationId"] == route.name
    assert operation["summary"]
    assert str(route.status) in operation["responses"]
    assert "default" in operation["responses"]
    assert all(answer["description"] for answer in operation["responses"].values())
    told = {(entry["name"], entry["in"], entry["required"]) for entry in operation["parameters"]}
    assert told == {(name, "path", True) for name in re.findall(r"\{(\w+)\}", route.path)} | {
        (parameter.name, "query", parameter.required) for parameter in route.query
    }
    assert ("requestBody" in operation) == (route.request is not None or route.body is Form.ARCHIVE)
