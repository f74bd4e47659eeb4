"""How much JSON there is in bytes, told before anything is built of it.

A body of 16 MiB that holds nothing but `[],` makes five million lists: 1 GiB and two seconds,
in which no other thread runs. What is built costs by the number of values and containers, and
those are told apart by marks outside of texts; counting these takes some 3 ms a MiB.

Numbers at the ends of what a double can hold are counted as well: to decode `1e308` takes 10 us,
300 times as long as `1e280`, and forty thousand of them half a second.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from iobeam_server.errors import TooLarge

FEW = 256
"""Values and keys that any body may have beside those that it is for."""
_ALL_BUT_MARKS = bytes(set(range(256)) - set(b",:[{"))
# What is built of one value, in bytes, with its comma: a number (32), its places in a row and in
# a column, its share of the time. Of a list or dictionary, and of a key: half of that.
_VALUE_BYTES = 64
_MARK_BYTES = 32
_EXTREME = re.compile(
    r"[eE](?:[-+]?0*(?:289|29[0-9]|[3-9][0-9]{2}|[1-9][0-9]{3})"
    r"|(?<=[0-9]{20}[eE])[-+]?0*[1-9][0-9]{2})"  # after many zeros less is as small
)
_DIGITS_TO_ZERO = bytes.maketrans(b"0123456789", b"0" * 10)
_LONG = b"0" * 150  # digits: longer ones are slow without an exponent, or by their square
# bytes of a character of a text that holds one beyond U+FFFF, and once more as UTF-8, which
# stays with the text when it has been stored
_WIDEST = 5


class Most(NamedTuple):
    """What a body may hold."""

    values: int
    """Values of all kinds, told by commas."""
    marks: int
    """Commas, colons and opening brackets together."""
    extremes: int
    """Numbers that are near the largest or smallest, or very long."""
    words: str
    """What has no more, for the refusal."""


def of_import(values: int, fields: int) -> Most:
    """Return what an import may hold, in any form.

    A list of points has two commas and five marks a value, a table with one field two and
    three; each of its fields or labels one, each series of a list two. The rest is room for
    keys that nobody reads.
    """
    return Most(
        3 * values + 8 * fields + FEW,
        25 * values + 16 * fields + FEW,
        values // 8 + FEW,  # one in sixteen, if all bits are equally likely
        f"an import of {values} values in {fields} fields",
    )


def of_description(names: int) -> Most:
    """Return what a body may hold that describes something by so many names."""
    return Most(2 * names + FEW, 8 * names + FEW, FEW, f"a description with {names} names")


class Structure:
    """Counts the marks of a body that comes in pieces.

    Args:
        most: above it `feed` refuses.
    """

    def __init__(self, most: Most) -> None:
        self.size = 0
        self._most = most
        self._values = 0
        self._marks = 0
        self._extremes = 0
        self._is_narrow = True
        self._in_text = False
        self._held = b""  # a backslash at the end of a piece

    @property
    def bytes_built(self) -> int:
        """What building takes at most, beside the body itself."""
        texts = self.size if self._is_narrow else self.size * _WIDEST
        return texts + self._values * _VALUE_BYTES + self._marks * _MARK_BYTES

    def feed(self, piece: bytes) -> None:
        """Count one piece; some 64 KiB are a good size.

        Raises:
            TooLarge: there is more than a body may hold; names what was counted.
        """
        self.size += len(piece)
        self._is_narrow = self._is_narrow and piece.isascii()
        piece = self._held + piece
        if b"\\" in piece:
            piece = self._without_escapes(piece)
        else:
            self._held = b""
        parts = piece.split(b'"')
        rest = b"".join(parts[self._in_text :: 2])
        self._in_text ^= len(parts) % 2 == 0
        marks = rest.translate(None, _ALL_BUT_MARKS)
        self._values += marks.count(b",")
        self._marks += len(marks)
        self._extremes += rest.translate(_DIGITS_TO_ZERO).count(_LONG)
        if b"e" in rest or b"E" in rest:
            self._extremes += len(_EXTREME.findall(rest.decode("latin-1")))
        self._check()

    def _without_escapes(self, piece: bytes) -> bytes:
        """Return a piece without escaped quotes; nothing but texts has backslashes."""
        self._is_narrow = self._is_narrow and b"\\u" not in piece
        piece = piece.replace(b"\\\\", b"")
        self._held = piece[-1:] if piece.endswith(b"\\") else b""
        return piece.replace(b'\\"', b"")

    def _check(self) -> None:
        for what, found, most in (
            ("values", self._values, self._most.values),
            ("values, keys and brackets", self._marks, self._most.marks),
            ("extremely large, small or long numbers", self._extremes, self._most.extremes),
        ):
            if found > most:
                raise TooLarge(
                    f"the body holds {found} {what} or more; {self._most.words} has at most "
                    f"{most}: send fewer rows at a time"
                )
