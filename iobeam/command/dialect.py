"""How a file of rows is written: bytes in, rows of cells out.

Pure, and the standard library alone. Encoding and separator are found here;
what the cells mean is not looked at.
"""
from __future__ import absolute_import

import codecs
import collections
import csv
import io
import itertools
import re

from iobeam.utils import compat

DELIMITERS = (",", ";", "\t", "|")
FALLBACK = "windows-1252"  # of what is no UTF-8: never an error on Windows

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
         (codecs.BOM_UTF16_BE, "utf-16"))
# Files that people take for a table, by how they begin.
_FOREIGN = ((b"PK\x03\x04", "a workbook or an archive; save it as CSV"),
            (b"\xd0\xcf\x11\xe0", "a workbook; save it as CSV"),
            (b"\x1f\x8b", "compressed; try: zcat FILE | iobeam send -"))
_BLOCK = 1 << 16  # bytes
_MAX_CELL = 1 << 24  # characters; csv's own limit is 128 KiB
_MAX_JOINED = 100  # lines of one row; beyond, a quotation mark is missing
_SEP = re.compile(u"sep=(.)\r?\n?\\Z", re.IGNORECASE)
_ENDS = u"\r\n"


class InDoubt(ValueError):
    """What is in doubt, and the option that settles it; nothing was sent."""


class NoRows(InDoubt):
    """There are no rows to look at, yet.

    Attributes:
        columns (list of text or None): of the header, if there is one.
    """

    def __init__(self, message, columns=None):
        InDoubt.__init__(self, message)
        self.columns = columns


class Dialect(object):
    """How rows are written.

    Args:
        delimiter (str): between cells.
        comments (bool): lines that begin with # are none.
        skip (int): lines at the start that are none.
        isPadded (bool): a blank follows each delimiter.
    """

    def __init__(self, delimiter, comments=False, skip=0, isPadded=False):
        self.delimiter = delimiter
        self.comments = comments
        self.skip = skip
        self.isPadded = isPadded
        mark = re.escape(delimiter)
        self._closed = re.compile(
            u'(\\A|{0}){1}"(?:[^"]|"")*"(?={0}|[\r\n]|\\Z)'.format(
                mark, u" *" if isPadded else u""))
        self._opening = re.compile(u'(\\A|{0}){1}"'.format(
            mark, u" *" if isPadded else u""))

    def isOpen(self, line):
        """True if a quoted cell goes on behind this line."""
        return (line.count(u'"') % 2 == 1 and self._opening.search(
            self._closed.sub(u"\\1", line)) is not None)


# -- bytes to lines -----------------------------------------------------------


def encodingOf(blocks, name, given=None, isWhole=True):
    """Which encoding the blocks of a file are in.

    Args:
        blocks (iterable of bytes)
        name (str): of the file, for messages.
        given (str or None): the only one to try.
        isWhole (bool): False if more comes, so that the end may be torn.

    Returns:
        (str, bool): for `linesOf`, and True if it is only the fallback.

    Raises:
        InDoubt: it is in none; the message says in which line.
    """
    blocks = iter(blocks)
    first = next(blocks, b"")
    tried = given
    for start, what in _FOREIGN:
        if first.startswith(start):
            raise InDoubt("{}: it is {}".format(name, what))
    if given is not None and first.startswith(codecs.BOM_UTF8) \
            and given.lower() in ("utf-8", "utf8"):
        tried = "utf-8-sig"
    if given is None:
        tried = ([encoding for bom, encoding in _BOMS if first.startswith(bom)]
                 + ["utf-8"])[0]
        if tried == "utf-8" and 4 * first[:1000].count(b"\0") > len(
                first[:1000]):
            raise InDoubt("{}: NUL bytes at its start; if it is UTF-16, give "
                          "--encoding utf-16-le or utf-16-be".format(name))
    decoders = dict((encoding, _decoder(encoding)) for encoding in (
        [tried] if given or tried != "utf-8" else [tried, FALLBACK]))
    failed, line = {}, 1
    for block in itertools.chain([first], blocks, [None]):
        for encoding in list(decoders):
            try:
                decoders[encoding].decode(block or b"",
                                          block is None and isWhole)
            except UnicodeError as error:
                failed[encoding] = line + (block or b"").count(
                    b"\n", 0, getattr(error, "start", 0))
                del decoders[encoding]
        if not decoders:
            raise InDoubt("{} line {}: it is not {}; give --encoding NAME, "
                          "such as latin-1".format(
                              name, failed[tried], " nor ".join(
                                  sorted(failed, key=failed.get))))
        line += (block or b"").count(b"\n")
    return (tried, False) if tried in decoders else (FALLBACK, True)


def _decoder(encoding):
    try:
        if not isinstance(b"abcd".decode(encoding, "replace"),
                          compat.text):
            raise LookupError("a codec, and no encoding")
        return codecs.getincrementaldecoder(encoding)()
    except (LookupError, TypeError, ValueError, AssertionError):
        raise InDoubt("--encoding {}: this Python knows no such encoding"
                      .format(encoding))


def blocksOf(stream):
    """The blocks of an open file."""
    return iter(lambda: stream.read(_BLOCK), b"")


def linesOf(stream, encoding):
    """The lines of an open file, decoded, with their ends."""
    return io.TextIOWrapper(stream, encoding=encoding, newline="")


class LineSplitter(object):
    """Splits what comes in pieces into lines, which end with \\n, \\r or both.

    Bytes that are not of the encoding become U+FFFD.
    """

    def __init__(self, encoding):
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._rest = u""
        self._skipsNewline = False

    def split(self, block, isLast=False):
        """The lines that are whole with this piece; the last ends them all."""
        text = self._decoder.decode(block, isLast)
        if text:  # none comes of half a character
            if self._skipsNewline and text.startswith(u"\n"):
                text = text[1:]
            self._skipsNewline = text.endswith(u"\r")
        text = self._rest + text
        lines = io.StringIO(text, newline=u"").readlines()
        self._rest = u""
        if lines and not isLast and lines[-1][-1] not in _ENDS:
            self._rest = lines.pop()
        return lines


# -- lines to rows --------------------------------------------------------------


Chunk = collections.namedtuple("Chunk", "numbers rows bad")


class Rows(object):
    """Rows of cells, chunk by chunk, from lines that come whole or in parts."""

    def __init__(self, dialect, refusesMarks=False):
        self._dialect = dialect
        self._refusesMarks = refusesMarks  # that `LineSplitter` leaves
        self._number = 0  # of the last line seen
        self._waiting = []  # lines of a row that goes on
        self.comments = 0
        self._numbers, self._bad, self._fed = [], [], None

    def chunks(self, lines, size, isLast=True):
        """Yield `Chunk`: line numbers and rows alike, [(number, line, why)].

        Args:
            lines (iterable of text): further lines.
            size (int): rows in a chunk.
            isLast (bool): nothing comes after them.
        """
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL))
        lines = iter(lines)
        while True:
            block = list(itertools.islice(lines, size))
            isEnd = len(block) < size
            chunk = self._plain(block) or self._any(block, isEnd and isLast)
            if chunk.rows or chunk.bad:
                yield chunk
            if isEnd:
                return

    def _reader(self, lines):
        return csv.reader(lines, delimiter=str(self._dialect.delimiter),
                          skipinitialspace=self._dialect.isPadded)

    def _plain(self, block):
        """The rows of lines that are rows and nothing else, or None.

        It takes a third of the time that a look at each line does.
        """
        joined = u"".join(block)
        if self._waiting or self._number < self._dialect.skip or any(
                sign in joined for sign in u'"#\0\x1a\ufffd'):
            return None
        if compat.PY2:
            block = joined.encode("utf-8").splitlines(True)
        try:
            rows = list(self._reader(block))
        except csv.Error:
            return None
        numbers = range(self._number + 1, self._number + 1 + len(rows))
        self._number += len(rows)
        if [] in rows:
            numbers = [number for number, row in zip(numbers, rows) if row]
            rows = [row for row in rows if row]
        return Chunk(list(numbers), rows, [])

    def _any(self, block, isLast):
        self._numbers, self._bad, rows = [], [], []
        reader = self._reader(self._feed(iter(block), isLast))
        while True:
            try:
                rows.extend(reader)
                return Chunk(self._numbers, rows, self._bad)
            except csv.Error as error:  # those before it are in `rows`
                self._bad.append((self._numbers.pop(), self._fed.rstrip(_ENDS),
                                  str(error)))

    def _feed(self, lines, isLast):
        """What the csv module gets, one item a row."""
        lines = itertools.chain(self._takeWaiting(), lines)
        skip, comments = self._dialect.skip, self._dialect.comments
        while True:
            line = next(lines, None)
            if line is None:
                return
            self._number += 1
            if self._number <= skip:
                continue
            if u'"' in line and self._dialect.isOpen(line):
                row, further = self._joined(line, lines)
                if row is None and not isLast and \
                        len(further) < _MAX_JOINED:
                    self._number -= 1
                    self._waiting = [line] + further
                    return
                if row is None:
                    lines = itertools.chain(further, lines)
                    self._refuse(line, "a quotation mark that is not closed")
                    continue
                number, line = self._number, row
                self._number += len(further)
            elif line[0] in u"#\r\n\x1a":
                if line[0] != u"#":
                    continue
                if comments:
                    self.comments += 1
                    continue
                number = self._number
            else:
                number = self._number
            if u"\0" in line:
                self._refuse(line, "NUL bytes")
                continue
            if self._refusesMarks and u"\ufffd" in line:
                self._refuse(line, "bytes that are not of the encoding")
                continue
            self._numbers.append(number)
            self._fed = line
            yield line.encode("utf-8") if compat.PY2 else line

    def _takeWaiting(self):
        waiting, self._waiting = self._waiting, []
        return waiting

    def _joined(self, line, lines):
        """(row or None, the lines after the first) of an open quotation."""
        further = []
        for more in itertools.islice(lines, _MAX_JOINED):
            further.append(more)
            line += more
            if u'"' in more and not self._dialect.isOpen(line):
                return line, further
        return None, further

    def _refuse(self, line, why):
        self._bad.append((self._number, line.rstrip(_ENDS), why))


def rowsOf(lines, dialect):
    """[(line number, cells)] of a few lines."""
    return [(number, cells) for chunk in Rows(dialect).chunks(lines, 1000)
            for number, cells in zip(chunk.numbers, chunk.rows)]


# -- finding out ------------------------------------------------------------------


def sepLine(lines):
    """The delimiter that a first line ``sep=;`` names, or None."""
    match = _SEP.match(lines[0]) if lines else None
    return match and compat.toNative(match.group(1))


def areComments(lines, delimiter):
    """Whether lines that begin with # are comments, after a look at all.

    They are if the file begins with one, or if no other cell begins so.
    """
    cell = re.compile(u'{}[ ]*"?#'.format(re.escape(delimiter)))
    isFirst = True
    for line in lines:
        if line.startswith(u"#"):
            if isFirst:
                return True
        elif line.strip():
            if not _SEP.match(line):
                isFirst = False
            if u"#" in line and (line.startswith(u'"#')
                                 or cell.search(line)):
                return False
    return True


def isPadded(lines, delimiter):
    """True if each delimiter of each line has a blank behind it."""
    found = False
    for line in lines:
        pieces = line.rstrip(_ENDS).split(delimiter)[1:]
        if not all(piece.startswith(u" ") for piece in pieces if piece):
            return False
        found = found or any(pieces)
    return found


def likely(lines):
    """The delimiters that lines may have, the likeliest first.

    Many lines of the same number of cells speak for one, and a first long
    line does; a delimiter that makes single cells is none.
    """
    found = []
    for place, delimiter in enumerate(DELIMITERS):
        widths = collections.Counter(
            len(cells) for _, cells in rowsOf(lines, Dialect(delimiter))
            if len(cells) > 1)
        if widths:
            width, count = max(widths.items(), key=lambda item: (
                item[1], item[0]))
            found.append((-count, -width, place, delimiter))
    return [delimiter for _, _, _, delimiter in sorted(found)]
