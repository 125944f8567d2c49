"""Lines of keys: each key that tomllib finds has one, and the right one."""

import tomllib
from collections.abc import Iterator

from hypothesis import given, settings

from kwhost.core.config.positions import KeyPath, key_lines
from tests.unit.toml_documents import Document, documents


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key and element below a value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


@settings(deadline=None)  # drawing a document takes longest
@given(documents())
def test_exactly_the_keys_that_tomllib_finds_have_lines(document: Document) -> None:
    assert set(key_lines(document.text)) == set(paths(tomllib.loads(document.text)))


@settings(deadline=None)  # drawing a document takes longest
@given(documents())
def test_each_key_has_the_line_that_it_was_written_on(document: Document) -> None:
    assert key_lines(document.text) == document.lines


@settings(deadline=None)  # drawing a document takes longest
@given(documents())
def test_line_ends_of_other_systems_change_nothing(document: Document) -> None:
    assert key_lines(document.text.replace("\n", "\r\n")) == document.lines


def test_a_table_stands_where_its_header_is() -> None:
    lines = key_lines("[a.b]\nc = 1\n\n[a]\nd.e = 2\n[[f]]\n[[f]]\n[f.g]\n")

    assert lines == {
        ("a",): 4,
        ("a", "b"): 1,
        ("a", "b", "c"): 2,
        ("a", "d"): 5,
        ("a", "d", "e"): 5,
        ("f",): 6,
        ("f", 0): 6,
        ("f", 1): 7,
        ("f", 1, "g"): 8,
    }


def test_a_document_without_keys_has_no_lines() -> None:
    assert key_lines("# nothing\n\n") == {}
