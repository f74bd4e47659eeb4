"""What a cell of a table says: a gap, a number, true or false, a text.

Pure, and the standard library alone. On 2.7 cells are UTF-8, as its csv module
has them, and texts leave decoded.
"""
from __future__ import absolute_import

import re

from iobeam.utils import compat

GAPS = frozenset(["", "nan", "na", "n/a", "null", "none", "unavailable",
                  "unknown", "-", "--", "---"])
NUMBER, BOOLEAN, STRING = KINDS = ("number", "boolean", "string")

# What was seen in a column, a bit each. A number is whole, of more digits than
# a float holds (15), with an exponent alone, with a dot or a comma; or with a
# comma as thousands have it (1,234), which may be either.
_WHOLE, _LONG, _POWER, _DOT, _COMMA, _GROUPED, _BOOLEAN, TEXT = (
    1 << place for place in range(8))
_DOTTED = _WHOLE | _LONG | _POWER | _DOT
_COMMAED = _WHOLE | _LONG | _POWER | _COMMA | _GROUPED

_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_DIGITS = r"(?:0|[1-9][0-9]*)"
_NUMBER = re.compile(r"[+-]?(?:{0}(?:([.,])[0-9]*)?|([.,])[0-9]+){1}\Z".format(
    _DIGITS, _EXPONENT))
_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}\Z")
# Lines of what may be numbers with dots, and those that float() takes for one
# and `kindOf` does not, or that it wants to see one by one.
_FLOATS = re.compile(r"[-+0-9.eE \t\n]*\Z")
_DECIMAL_COMMA = re.compile(r",(?![0-9]{3})")  # surely none of thousands
_ODD = re.compile(r"\n[ \t]*[+-]?(?:0[0-9]|[0-9]{16})")
_MIN_INT, _MAX_INT = -2 ** 63, 2 ** 63 - 1
_WORDS = {"true": True, "false": False}
_MAX_KNOWN = 10000  # texts of a column that are remembered


def kindOf(text):
    """The bit of one cell that is no gap, without white space around it."""
    match = _NUMBER.match(text)
    if match is None:
        return _BOOLEAN if text.lower() in _WORDS else TEXT
    value = float(text.replace(",", "."))
    if value - value != 0:
        return TEXT  # 1e999: no number that can be kept
    mark = match.group(1) or match.group(2)
    if mark == ".":
        return _DOT
    if mark == ",":
        return _GROUPED if _GROUPS.match(text) else _COMMA
    if "e" in text or "E" in text:
        return _POWER
    return _LONG if len(text) > 15 else _WHOLE


def _floatOf(cell):
    return float(cell.replace(",", "."))


class Column(object):
    """What the cells of one column are; later, what they say.

    Args:
        kind (str or None): of `KINDS`, if it is given; None finds it out.
        gaps (set of str): cells that say nothing, in lower case.

    Attributes:
        odd (str or None): the first cell that makes it text.
    """

    def __init__(self, kind=None, gaps=GAPS):
        self.kind, self.odd = kind, None
        self._gaps = gaps
        self._hasNumbers = any(kindOf(gap) < TEXT for gap in gaps - GAPS)
        self._isGiven = kind is not None
        self._bits = 0
        self._convert = None
        self._comma = False
        self._known = {}

    def isGap(self, cell):
        """True if a cell says nothing."""
        return not cell or cell.strip().lower() in self._gaps

    # -- finding out -----------------------------------------------------

    def look(self, cells):
        """Take note of some cells."""
        if self._bits & TEXT:
            return  # whatever comes, it is text
        if self._hasNumbers or not self._lookAtFloats(cells):
            self._lookAtEach(cells)

    def _lookAtFloats(self, cells):
        """Take note of numbers with dots, and empty cells, if they are that.

        It takes a tenth of the time of a look at each.
        """
        joined = "\n" + "\n".join(cells)
        if joined.count("\n") != len(cells):
            return False  # a cell of several lines
        hasCommas = "," in joined
        if hasCommas:
            if "." in joined or not _DECIMAL_COMMA.search(joined):
                return False
            joined = joined.replace(",", ".")
            cells = joined.split("\n")[1:]
        if not _FLOATS.match(joined) or _ODD.search(joined):
            return False
        try:
            total = sum([float(cell) for cell in cells if cell])
        except ValueError:
            return False
        if total - total != 0:
            return False  # 1e999
        if len(joined) > len(cells):
            self._bits |= (_COMMA if hasCommas else _DOT if "." in joined else
                           _POWER if "e" in joined or "E" in joined
                           else _WHOLE)
        return True

    def _lookAtEach(self, cells):
        for cell in cells:
            text = cell.strip()
            if text.lower() not in self._gaps:
                self._bits |= kindOf(text)
                if self._bits & TEXT:
                    self.odd = None if self._isGiven else text
                    return

    def isDotted(self):
        """True for numbers with a decimal point in some."""
        return bool(self._bits & _DOT) and not self._bits & ~_DOTTED

    def isCommaed(self):
        """True for numbers with a comma in some."""
        return (bool(self._bits & (_COMMA | _GROUPED))
                and not self._bits & ~_COMMAED)

    def isGrouped(self):
        """True for numbers whose commas may all be those of thousands."""
        return self.isCommaed() and not self._bits & _COMMA

    def isSeen(self):
        """True if there was a cell that is no gap."""
        return self._bits != 0

    def settleEmpty(self):
        """Take a column of gaps for one of texts."""
        self.kind = self.kind or STRING

    def settle(self, decimal, isWhole=True):
        """Decide on the kind, once all was looked at.

        Args:
            decimal (str): "." or ",".
            isWhole (bool): False if more may come, of whatever kind.
        """
        bits, self._comma = self._bits, decimal == ","
        numbers = _COMMAED if self._comma else _DOTTED
        if not self._isGiven and bits:
            self.kind = (NUMBER if not bits & ~numbers else
                         BOOLEAN if bits == _BOOLEAN else STRING)
        self._convert = None
        if self.kind == NUMBER and isWhole and not bits & ~numbers \
                and not self._hasNumbers:
            self._convert = (int if bits == _WHOLE else
                             None if bits & _LONG else
                             _floatOf if self._comma else float)

    # -- what they say -----------------------------------------------------

    def values(self, cells):
        """What some cells say, None for gaps; ValueError if one is odd."""
        convert = self._convert
        if convert is not None:
            try:
                if "" not in cells:
                    found = list(map(convert, cells))
                    total = sum(found)
                else:
                    found = [convert(cell) if cell else None for cell in cells]
                    total = sum(filter(None, found))
                if total - total == 0:
                    return found  # there was no "nan" among them
            except ValueError:
                pass  # gaps of other words
        if self.kind == STRING:
            known = self._known
            try:
                return [known[cell] for cell in cells]
            except KeyError:
                pass
        return [self.value(cell) for cell in cells]

    def value(self, cell):
        """What one cell says, None for a gap; ValueError if it is odd."""
        text = cell.strip()
        if text.lower() in self._gaps:
            return None
        if self.kind is None:  # the first that says something
            self.look([cell])
            self.settle("," if self._comma else ".", isWhole=False)
        if self.kind == STRING:
            return self._text(cell)
        if self.kind == NUMBER:
            return self._number(text)
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        if self._isGiven and text in ("0", "1"):
            return text == "1"
        raise ValueError("{} is neither true nor false".format(shown(text)))

    def _text(self, cell):
        if len(self._known) < _MAX_KNOWN:
            self._known[cell] = compat.toText(cell)
        return compat.toText(cell)

    def _number(self, text):
        plain = text
        if self._comma:
            plain = text.replace(".", "x").replace(",", ".")
        if self._isGiven:
            plain = re.sub(r"\A([+-]?)0+(?=[0-9])", r"\1", plain)
        if "," in plain or not _NUMBER.match(plain):
            raise ValueError("{} is no number".format(shown(text)))
        if plain.lstrip("+-").isdigit():
            value = int(plain)
            return value if _MIN_INT <= value <= _MAX_INT else float(value)
        value = float(plain)
        if value - value != 0:
            raise ValueError("{} is too large a number".format(shown(text)))
        return value


def decimalOf(columns, delimiter):
    """Which mark numbers have: ".", ",", or None if that is in doubt."""
    commaed = [column for column in columns if column.isCommaed()]
    if not commaed:
        return "."
    if any(column.isDotted() for column in columns):
        return None
    if delimiter == ";" or not all(column.isGrouped() for column in commaed):
        return ","
    return None


def shown(cell, limit=40):
    """A cell for a message: quoted, and short."""
    text = compat.toText(cell)
    if len(text) > limit:
        text = text[:limit - 3] + u"..."
    return compat.toNative(u'"{}"'.format(
        text.replace(u"\n", u" ").replace(u"\r", u" ")))
