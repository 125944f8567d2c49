"""The interface described as OpenAPI 3.1, from the table of routes and the types. Pure."""

import re
from functools import cache
from typing import Any

from msgspec import json

from kwhost import __version__
from kwhost.core.api.routes import ROUTES, STREAM_EVENTS, Access, Form, Parameter, Route
from kwhost.core.api.types import FailureBody

__all__ = ["describe_api"]

_VARIABLE = re.compile(r"\{(\w+)\}")
_BINARY = {"type": "string", "format": "binary"}
_VARIABLES = {
    "ref": "an instance: ID, the beginning of one, NAME, or TENANT/NAME with the / as %2F",
    "tenant": "a tenant's name",
    "policy": "a policy's name",
    "image": "the image: NAME[:TAG], with each / as %2F, or 12 digits or more of its digest",
    "volume": "a volume's name",
    "question": "the id of an open question",
    "answer": "the number of a remembered answer",
}


def _types() -> list[Any]:
    """Each type once, in the order of the routes."""
    named = [kind for route in ROUTES for kind in (route.request, route.answer) if kind is not None]
    return list(dict.fromkeys([*named, *STREAM_EVENTS.values()]))


@cache
def _schemas() -> tuple[dict[Any, Any], dict[str, Any]]:
    kinds = _types()
    schemas, components = json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for component in components.values():
        component["description"] = " ".join(component.get("description", "").split())
    return dict(zip(kinds, schemas, strict=True)), components


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.summary,
        "schema": json.schema(parameter.type),
    }


def _variable(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _VARIABLES[name],
        "schema": {"type": "string"},
    }


def _answer(route: Route) -> dict[str, Any]:
    schemas, _ = _schemas()
    match route.form:
        case Form.JSON:
            content = {route.form.value: {"schema": schemas[route.answer]}}
        case Form.EVENTS:
            # OpenAPI 3.1 has no word for the events of a stream: the schema is that of one event's data.
            content = {route.form.value: {"schema": schemas[route.answer]}}
        case Form.ARCHIVE:
            content = {route.form.value: {"schema": _BINARY}}
        case Form.FRAMES:
            return {"description": "the connection goes on as frames (Upgrade: kwhost-stream)"}
    return {"description": route.summary, "content": content}


def _operation(route: Route) -> dict[str, Any]:
    schemas, _ = _schemas()
    variables = [_variable(name) for name in _VARIABLE.findall(route.path)]
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"For {route.access.value}.",
        "parameters": variables + [_parameter(parameter) for parameter in route.query],
        "responses": {
            str(route.status): _answer(route),
            "default": {
                "description": "what went wrong",
                "content": {Form.JSON.value: {"schema": schemas[FailureBody]}},
            },
        },
    }
    if route.access is not Access.ANYBODY:
        operation["security"] = [{"peer": []}]
    if route.request is not None:
        content = {Form.JSON.value: {"schema": schemas[route.request]}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.body is Form.ARCHIVE:
        operation["requestBody"] = {"required": True, "content": {Form.ARCHIVE.value: {"schema": _BINARY}}}
    return operation


@cache
def describe_api() -> dict[str, Any]:
    """The document; nobody may change it."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kwhost",
            "version": __version__,
            "summary": "Tenants and instances of one host; HTTP on a Unix socket",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas()[1],
            "securitySchemes": {
                "peer": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "SO_PEERCRED",
                    "description": "Nothing is sent: the kernel tells who is at the other end of the socket.",
                }
            },
        },
    }
