"""Frames of upgraded connections: what goes in comes out, however it is cut; what is none is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwhost.core.api.stream import (
    CONTENT_MAX,
    Frame,
    FrameDecoder,
    FrameType,
    decode_exit,
    decode_resize,
    decode_signal,
    encode_exit,
    encode_frame,
    encode_resize,
    encode_signal,
)
from kwhost.core.errors import ApiError
from kwhost.core.model.instance import TerminalSize

frames = st.builds(Frame, type=st.sampled_from(FrameType), content=st.binary(max_size=300))


def only(data: bytes) -> Frame:
    [frame] = FrameDecoder().feed(data)
    return frame


@settings(deadline=None)  # drawing the cuts takes longest
@given(st.lists(frames, max_size=8), st.data())
def test_frames_survive_any_cutting(sent: list[Frame], data: st.DataObject) -> None:
    whole = b"".join(encode_frame(frame.type, frame.content) for frame in sent)
    decoder = FrameDecoder()
    received = []
    while whole:
        cut = data.draw(st.integers(1, len(whole)))
        received += decoder.feed(whole[:cut])
        whole = whole[cut:]

    assert received == sent
    assert not decoder.incomplete


@given(st.binary(max_size=2000))
def test_anything_is_frames_or_an_error(data: bytes) -> None:
    decoder = FrameDecoder()
    try:
        received = decoder.feed(data)
    except ApiError:
        return
    again = b"".join(encode_frame(frame.type, frame.content) for frame in received)
    assert data.startswith(again)
    assert decoder.incomplete == (len(again) < len(data))


def test_the_largest_frame_passes_and_a_larger_one_is_refused_by_its_header() -> None:
    assert len(only(encode_frame(FrameType.STDIN, b"x" * CONTENT_MAX)).content) == CONTENT_MAX
    with pytest.raises(ApiError, match="65537 bytes"):
        FrameDecoder().feed(b"\x00\x00\x01\x00\x01")


def test_an_unknown_type_is_refused_at_its_first_byte_with_a_length() -> None:
    with pytest.raises(ApiError, match="unknown type 9"):
        FrameDecoder().feed(b"\x09\x00\x00\x00\x00")


@given(st.integers(1, 0xFFFF), st.integers(1, 0xFFFF), st.integers(1, 64), st.integers(-(2**31), 2**31 - 1))
def test_contents_survive(rows: int, columns: int, signal: int, status: int) -> None:
    size = TerminalSize(rows=rows, columns=columns)
    assert decode_resize(only(encode_resize(size)).content) == size
    assert decode_signal(only(encode_signal(signal)).content) == signal
    assert decode_exit(only(encode_exit(status)).content) == status


def test_a_size_that_no_terminal_has_is_bounded() -> None:
    assert decode_resize(only(encode_resize(TerminalSize(rows=0, columns=10**6))).content) == (1, 0xFFFF)


@pytest.mark.parametrize("decode", [decode_resize, decode_signal, decode_exit])
@given(content=st.binary(max_size=8).filter(lambda content: len(content) not in (1, 4)))
def test_contents_of_another_length_are_refused(decode: Callable[[bytes], object], content: bytes) -> None:
    with pytest.raises(ApiError, match="frame needs"):
        decode(content)
