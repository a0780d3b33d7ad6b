"""A compiled model: which rows it takes, the operations on them, and which methods they answer.

A program is plain data. It is written to and read from an .npz without pickle; reading checks sizes, shapes and
indexes (operations.py), so that a file from anybody is either a program or refused with Unsound.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import answers, operations, trees
from .operations import Array, Live, Lookup, Numbers, Operation, Rows, Unsound, must

OPERATIONS: dict[str, type[Operation]] = {
    name: kind
    for name, kind in {**vars(operations), **vars(answers), **vars(trees)}.items()
    if isinstance(kind, type) and issubclass(kind, Operation)
}
MOST_STEPS = 10_000
MOST_BYTES = 16 * 2**30
MOST_ARRAYS = 100_000


@dataclass(frozen=True, eq=False)
class Node:
    """One operation and the nodes whose values it takes."""

    operation: Operation
    inputs: tuple[Node, ...] = ()

    def then(self, operation: Operation) -> Node:
        return Node(operation, (self,))


@dataclass(frozen=True, eq=False)
class Program:
    """`names`: those of a DataFrame's columns, or None for an array's. `methods`: the estimator's -> their values."""

    names: tuple[str, ...] | None
    methods: Mapping[str, Node]

    @property
    def count(self) -> int:
        """Columns of the rows."""
        return next(n.operation.count for n in self.nodes() if isinstance(n.operation, Rows))

    @property
    def is_partial(self) -> bool:
        """Whether the estimator itself has to make the end of an answer."""
        return any(isinstance(node.operation, Live) for node in self.methods.values())

    def nodes(self) -> list[Node]:
        """Each once, after those whose values it takes."""
        return in_order(self.methods.values())

    def texts(self) -> set[int]:
        """Columns that hold texts."""
        return {look.place for look in self._lookups() if look.keys.dtype.kind == "U"}

    def used(self) -> set[int] | None:
        """Columns that are looked at; None: all of them, as one matrix of numbers."""
        used: set[int] = set()
        for node in self.nodes():
            if any(isinstance(before.operation, Rows) for before in node.inputs):
                if isinstance(node.operation, Lookup):
                    used.add(node.operation.place)
                elif isinstance(node.operation, Numbers):
                    used.update(node.operation.places.tolist())
                else:
                    return None
        return used

    def _lookups(self) -> Iterator[Lookup]:
        for node in self.nodes():
            if isinstance(node.operation, Lookup) and isinstance(node.inputs[0].operation, Rows):
                yield node.operation


def width_of(node: Node) -> int:
    """Columns of its value; VECTOR for one value a row."""
    widths: dict[int, int] = {}
    for one in in_order([node]):
        widths[id(one)] = one.operation.width(*(widths[id(before)] for before in one.inputs))
    return widths[id(node)]


def in_order(ends: Any) -> list[Node]:
    """All nodes that lead to some, each once, after those whose values it takes."""
    order: dict[int, Node] = {}

    def visit(node: Node) -> None:
        if id(node) not in order:
            for before in node.inputs:
                visit(before)
            order[id(node)] = node

    for end in ends:
        visit(end)
    return list(order.values())


def check(program: Program) -> None:
    """Raises Unsound unless every operation fits the values that it gets."""
    widths: dict[int, int] = {}
    nodes = program.nodes()
    must(sum(isinstance(node.operation, Rows) for node in nodes) == 1, "not one set of rows")
    for node in nodes:
        widths[id(node)] = node.operation.width(*(widths[id(before)] for before in node.inputs))
    must(program.names is None or len(program.names) == program.count, "names that do not fit")
    texts = program.texts()
    for node in nodes:
        if isinstance(node.operation, Numbers) and isinstance(node.inputs[0].operation, Rows):
            must(texts.isdisjoint(node.operation.places.tolist()), "numbers of texts")
    must(not texts or program.used() is not None, "numbers of texts")


def to_arrays(program: Program) -> dict[str, Array]:
    """Named arrays, one of them (`program`) the JSON text that says what they are."""
    nodes = program.nodes()
    places = {id(node): place for place, node in enumerate(nodes)}
    arrays: dict[str, Array] = {}
    steps = []
    for place, node in enumerate(nodes):
        values = {field.name: getattr(node.operation, field.name) for field in dataclasses.fields(node.operation)}  # type: ignore[arg-type]
        for name, value in list(values.items()):
            if isinstance(value, np.ndarray):
                arrays[f"{place}.{name}"] = values.pop(name)
        inputs = [places[id(before)] for before in node.inputs]
        steps.append({"operation": type(node.operation).__name__, "inputs": inputs, "values": values})
    methods = {name: places[id(node)] for name, node in program.methods.items()}
    text = json.dumps({"names": program.names, "methods": methods, "steps": steps})
    return {"program": np.frombuffer(text.encode(), np.uint8), **arrays}


def from_arrays(arrays: Mapping[str, Array]) -> Program:
    """The program, checked. Raises Unsound."""
    try:
        content = json.loads(arrays["program"].tobytes())
        must(len(content["steps"]) <= MOST_STEPS, "too many steps")
        nodes: list[Node] = []
        for place, step in enumerate(content["steps"]):
            must(all(type(number) is int and 0 <= number < place for number in step["inputs"]), "a step ahead")
            nodes.append(Node(_operation(place, step, arrays), tuple(nodes[number] for number in step["inputs"])))
        must(content["methods"] and all(type(place) is int and place >= 0 for place in content["methods"].values()), "")
        names = None if content["names"] is None else tuple(map(str, content["names"]))
        program = Program(names, {str(name): nodes[place] for name, place in content["methods"].items()})
        check(program)
    except Unsound:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, StopIteration) as exc:
        raise Unsound(f"{type(exc).__name__}: {exc}") from exc
    return program


def _operation(place: int, step: Mapping[str, Any], arrays: Mapping[str, Array]) -> Operation:
    kind = OPERATIONS[step["operation"]]
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.type == "Array":
            values[field.name] = arrays[f"{place}.{field.name}"]
        else:
            values[field.name] = step["values"][field.name]
            must(type(values[field.name]).__name__ == field.type, f"a {field.name} of another type")
    return kind(**values)


# ---- the file --------------------------------------------------------------------------------------------------------


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """An .npz, uncompressed, whose arrays begin at multiples of 64 bytes: they can be mapped."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            assert archive.fp is not None
            begins = archive.fp.tell() + 30 + len(info.filename.encode()) + 4
            pad = -begins % 64
            info.extra = b"\xff\xff" + pad.to_bytes(2, "little") + bytes(pad)
            with archive.open(info, "w", force_zip64=False) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def read(path: Path) -> dict[str, Array]:
    """The arrays, mapped. Raises Unsound."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            must(len(entries) <= MOST_ARRAYS and sum(e.file_size for e in entries) <= MOST_BYTES, "too large")
            must(all(e.compress_type == zipfile.ZIP_STORED for e in entries), "compressed")
            whole = np.memmap(path, np.uint8, "r")
            return {entry.filename.removesuffix(".npy"): _array(archive, entry, whole) for entry in entries}
    except Unsound:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, SyntaxError) as exc:
        raise Unsound(f"{type(exc).__name__}: {exc}") from exc


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, whole: Array) -> Array:
    """The array in the file itself: what zipfile and NumPy say of where it is."""
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        must(version == (1, 0), "another version of .npy")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        header = file.tell()
    must(not dtype.hasobject and dtype.names is None and all(size >= 0 for size in shape), "other than plain arrays")
    begins = entry.header_offset + 30
    local = whole[entry.header_offset : begins].tobytes()
    must(len(local) == 30, "a file that ends too early")
    begins += int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little") + header
    size = dtype.itemsize
    for length in shape:
        size *= int(length)
    must(0 <= size == entry.file_size - header and begins + size <= len(whole), "an array that is cut off")
    flat = np.frombuffer(whole, np.uint8, size, begins) if size else np.empty(0, np.uint8)
    must(begins % max(1, dtype.alignment) == 0 or not size, "an array that is not aligned")
    return flat.view(dtype).reshape(shape, order="F" if fortran else "C")
