"""Export files into a project: read twice, first to see that all of it is good."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Callable, NamedTuple, Optional

from iobeam_server import exportfiles
from iobeam_server.config import Config
from iobeam_server.errors import AlreadyExists, BadRequest, NotFound, ServerError
from iobeam_server.exportfiles import Place, Run
from iobeam_server.maintenance import sharing
from iobeam_server.rules import texts
from iobeam_server.rules.names import check_device_id
from iobeam_server.rules.points import Kind, series_column
from iobeam_server.rules.times import to_iso
from iobeam_server.storage.base import INPUT, Batch, Part
from iobeam_server.storage.store import Storage

PIECE_VALUES = 20_000  # in one transaction: some 50 ms with the write lock
DIVIDED_BY = "device_id"  # what the namespace `input` is divided by

Say = Callable[[str], None]
_Field = tuple[int, str]  # project, name


class Options(NamedTuple):
    """What is to be otherwise than the file says."""

    project_id: Optional[int] = None
    device_id: Optional[str] = None
    namespace: Optional[str] = None
    kinds: Mapping[str, Kind] = {}
    """Types of fields, for files of 1.0.0, which do not say them."""


class Imported(NamedTuple):
    values: int
    series: int


def import_file(store: Storage, path: str, options: Options, config: Config, say: Say) -> Imported:
    """Store what a file of `export` holds; nothing when any of it is not good.

    Devices are registered; a namespace that is missing is made. Importing a file again
    changes nothing, so what was broken off (power, a full disk) is simply repeated.

    Args:
        store: where to.
        path: of the file.
        options: what is to be otherwise than it says.
        config: for the size of texts.
        say: is told what the file left open, and how far it came when it is broken off.

    Raises:
        BadRequest: names the line and what is wrong with it.
        NotFound: no such project or namespace.
    """
    survey = _Survey(store, path, options)
    with exportfiles.opened(path, config.max_text_chars) as file:
        for run in file.runs:
            survey.add(run)
        namespace = survey.namespace(file.place)
    kinds = survey.kinds(namespace, say)
    if file.place is not None:
        _make_namespaces(store, {project for project, _ in kinds}, namespace, file.place, say)
    done = 0
    try:
        with exportfiles.opened(path, config.max_text_chars) as file:
            for piece in _pieces(survey.placed(run, kinds) for run in file.runs):
                with sharing():
                    _store(store, [_batch(run, namespace, config) for run in piece])
                    done += sum(len(run.times) for run in piece)
    except (ServerError, KeyboardInterrupt, SystemExit):  # the last one is SIGTERM's
        say(
            f"{done} of {survey.values} points are stored; "
            "import the file again to go on: what is there stays as it is"
        )
        raise
    return Imported(survey.values, len(survey.series))


def _pieces(runs: Iterable[Run]) -> Iterator[list[Run]]:
    piece: list[Run] = []
    held = 0
    for run in runs:
        for at in range(0, len(run.times), PIECE_VALUES):
            part = slice(at, at + PIECE_VALUES)
            piece.append(
                run._replace(times=run.times[part], values=run.values[part], lines=run.lines[part])
            )
            held += len(piece[-1].times)
            if held >= PIECE_VALUES:
                yield piece
                piece, held = [], 0
    if piece:
        yield piece


def _batch(run: Run, namespace: str, config: Config) -> Batch:
    column = series_column(run.name, run.times, run.values, 1, config.max_text_chars)
    is_device = namespace == INPUT and run.device_id != ""
    part = Part(run.device_id or None, [column])
    return Batch(run.project_id, namespace, [part], is_device, is_device)


def _store(store: Storage, batches: list[Batch]) -> None:
    for refused in store.write(batches):
        if refused is not None:
            raise refused


def _make_namespaces(
    store: Storage, projects: set[int], namespace: str, place: Place, say: Say
) -> None:
    for project_id in sorted(projects):
        if not store.namespaces.find(project_id, namespace):
            try:
                store.namespaces.create(
                    project_id, namespace, place.divided_by, {}, {}, int(time.time())
                )
            except AlreadyExists:  # somebody made it meanwhile
                continue
            say(f"namespace {namespace!r}, divided by {place.divided_by!r}, made")


class _Survey:
    """What a file holds, and of which type each field can be."""

    def __init__(self, store: Storage, path: str, options: Options) -> None:
        self._store = store
        self._path = path
        self._options = options
        self.values = 0
        self.series: set[tuple[int, str, str]] = set()
        self._devices: dict[str, int] = {}
        self._unfit: dict[_Field, dict[Kind, int]] = {}
        """For each field the types that it cannot have, and the first line that says so."""
        self._untyped: set[_Field] = set()
        self._times: list[int] = []

    def add(self, run: Run) -> None:
        """Take note of a run of the file."""
        self.values += len(run.times)
        self._devices.setdefault(run.device_id, run.lines[0])
        project_id = self._options.project_id or run.project_id
        field = (project_id, run.name)
        self.series.add((project_id, self._device(run), run.name))
        unfit = self._unfit.setdefault(field, {})
        if run.kind is not None:
            for kind in set(Kind) - {run.kind}:
                unfit.setdefault(kind, run.lines[0])
        else:
            self._untyped.add(field)
            self._times = [min([*self._times, *run.times]), max([*self._times, *run.times])]
            for kind in (Kind.NUMBER, Kind.BOOLEAN):
                for cell, line in zip(run.values, run.lines):
                    if kind in unfit:
                        break
                    if exportfiles.value_of(str(cell), kind) is None:
                        unfit[kind] = line
        if len(unfit) == len(Kind):
            raise self._bad(max(unfit.values()), f"{run.name!r} has another type before this line")

    def namespace(self, place: Optional[Place]) -> str:
        """Return where the points go; refuses what does not fit there."""
        name = self._options.namespace or (INPUT if place is None else place.namespace)
        divided_by = DIVIDED_BY if place is None else place.divided_by
        for project_id in sorted({project_id for project_id, _ in self._unfit}):
            if self._store.projects.get(project_id) is None:
                raise NotFound(
                    f"there is no project {project_id}: see iobeam-server project list, "
                    "make one (project create), or say --project N"
                )
            found = self._store.namespaces.find(project_id, name)
            if found and place is not None and found[0].partitioning_field != divided_by:
                raise BadRequest(
                    f"namespace {name!r} of project {project_id} is divided by "
                    f"{found[0].partitioning_field!r}, the points of {self._path} by {divided_by!r}"
                )
            if not found and (place is None or name != place.namespace):
                raise NotFound(f"project {project_id} has no namespace {name!r}")
        self._check_devices(name)
        return name

    def _check_devices(self, namespace: str) -> None:
        if self._options.device_id is not None and len(self._devices) > 1:
            shown = ", ".join(map(repr, list(self._devices)[:3]))
            raise BadRequest(f"{self._path} has several devices ({shown}): leave out --device")
        for device_id, line in self._devices.items():
            own = self._options.device_id or device_id
            if namespace == INPUT and own:
                try:
                    check_device_id(own)
                except ServerError as error:
                    raise self._bad(line, f"{own!r:.80}: {error.message}") from None

    def kinds(self, namespace: str, say: Say) -> dict[_Field, Kind]:
        """Return the type of every field; says what it took for granted."""
        kinds: dict[_Field, Kind] = {}
        guessed: dict[Kind, list[str]] = {}
        for project_id in sorted({project_id for project_id, _ in self._unfit}):
            found = self._store.namespaces.find(project_id, namespace)
            known = found[0].fields if found else {}
            for field in [one for one in self._unfit if one[0] == project_id]:
                name, unfit = field[1], self._unfit[field]
                kind = known.get(name, self._options.kinds.get(name))
                if kind is None:
                    kind = min(set(Kind) - set(unfit))
                    if field in self._untyped and kind is not Kind.TEXT:
                        guessed.setdefault(kind, []).append(name)
                if kind in unfit:
                    raise self._bad(unfit[kind], self._misfit(name, kind, known.get(name)))
                kinds[field] = kind
        if self._untyped:
            say(
                f"{self._path} was written by 1.0.0, or is an answer of the API: times are taken "
                f"for microseconds, {to_iso(self._times[0])} to {to_iso(self._times[1])}"
            )
        for kind, names in sorted(guessed.items()):
            say(
                f"taken for {texts.NAMES[kind]}: {', '.join(sorted(names)[:20])}"
                f"{' ..' if len(names) > 20 else ''} (if they are texts: --type NAME=string)"
            )
        return kinds

    def placed(self, run: Run, kinds: Mapping[_Field, Kind]) -> Run:
        """Return a run with its project, device and values as they are to be stored."""
        project_id = self._options.project_id or run.project_id
        run = run._replace(project_id=project_id, device_id=self._device(run))
        if run.kind is not None:
            return run
        kind = kinds[project_id, run.name]
        found = [exportfiles.value_of(str(cell), kind) for cell in run.values]
        values = [value for value in found if value is not None]
        if len(values) < len(found):
            raise BadRequest(f"{self._path} was changed while it was imported")
        return run._replace(kind=kind, values=values)

    def _device(self, run: Run) -> str:
        return run.device_id if self._options.device_id is None else self._options.device_id

    def _misfit(self, name: str, kind: Kind, known: Optional[Kind]) -> str:
        if known is None:
            return f"{name!r} cannot be {texts.NAMES[kind]}, as --type says"
        return (
            f"{name!r} is {texts.NAMES[kind]} in the project, and here it is not; "
            "see iobeam-server series retype"
        )

    def _bad(self, line: int, message: str) -> BadRequest:
        return BadRequest(f"{self._path}, line {line}: {message}")
