"""What an image says about running it is checked when it is loaded, not when it is started."""

import json
import tracemalloc
from typing import Any

import pytest

from kwhost.core.errors import ImageError
from kwhost.core.images.documents import Configuration, decode, is_index
from kwhost.core.images.settings import settings_of
from kwhost.core.model.image import ImageSettings


def settings(**fields: object) -> ImageSettings:
    document = json.dumps({"rootfs": {"diff_ids": []}, "config": fields}).encode()
    return settings_of(decode(document, Configuration, "the configuration"))


def test_places_of_volumes_are_plain_paths() -> None:
    assert settings(Volumes={"//x": {}, "/y/../x/": {}, "/a//b": {}}).volumes == ("/a/b", "/x")


@pytest.mark.parametrize("path", ["/", "//", "/..", "", "data", "./data"])
def test_a_volume_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(ImageError, match="cannot be"):
        settings(Volumes={path: {}})


def test_so_many_volumes_are_refused() -> None:
    with pytest.raises(ImageError, match="17 volumes; 16 are taken"):
        settings(Volumes={f"/{number}": {} for number in range(17)})


def test_what_is_said_about_running_it_is_bounded() -> None:
    with pytest.raises(ImageError, match="more than 262144 characters"):
        settings(Env=["A=" + "x" * 100_000] * 3)


def test_an_image_is_checked_once_a_second_at_most() -> None:
    check = settings(Healthcheck={"Test": ["CMD", "true"], "Interval": 1, "Timeout": 1}).healthcheck

    assert check
    assert (check.interval, check.timeout) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGTERM", 15), ("9", 9), ("SIGRTMIN", 34), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("rtmax-99", 34)],
)
def test_stop_signals_are_those_that_docker_knows(text: str, number: int) -> None:
    assert settings(StopSignal=text).stop_signal == number


def test_ports_that_cannot_be_are_passed_over() -> None:
    exposed = dict.fromkeys(["80", "8000-8010/udp", "0", "99999/tcp", "9-8", "x", "65535/tcp"])

    assert settings(ExposedPorts=exposed).ports == ("65535/tcp", "80", "8000-8010/udp")


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Configuration, b'{"rootfs": {"diff_ids": []}, "config": {"ExposedPorts": {"1": [%b{}]}}}'),
        (Configuration, b'{"rootfs": {"diff_ids": []}, "config": {"Volumes": {"/v": [%b{}]}}}'),
        (Configuration, b'{"rootfs": {"diff_ids": []}, "unknown": [%b{}]}'),
        (None, b'{"manifests": [%b{}]}'),
    ],
    ids=["ports", "volumes", "unknown", "manifests"],
)
def test_what_nobody_looks_at_is_not_made_into_objects(kind: Any, document: bytes) -> None:
    document %= b"{}," * 200_000
    tracemalloc.start()
    try:
        if kind:
            decode(document, kind, "it")
        else:
            assert is_index(document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2 * len(document)
