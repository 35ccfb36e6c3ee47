"""Records to Parquet and back: one function each way for every dataclass, open to DuckDB and any other tool.

Columns are named as the fields. Tuples and 1-D arrays become lists, nested records structs, ``Mapping[str, float]``
an Arrow map, ``Mapping[str, Any]`` JSON. A column that the file lacks takes the field's default, one that the record
lacks is passed over, so that a table outlives an added field.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fullcast.store.atomic import replacing
from fullcast.store.errors import FullcastError, UnreadableFile

Record = TypeVar("Record")

_SCALARS: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}


def write_records(
    path: Path, records: Iterable[Record], cls: type[Record], metadata: Mapping[str, str] | None = None
) -> None:
    """Write records of one class, atomically; none at all gives a table with the columns and no rows.

    `metadata` goes into the file's schema (embedder, stage version ...). Same input, same bytes.
    """
    records = list(records)
    fields = _fields(cls)
    columns = [_column([getattr(record, name) for record in records], kind) for name, kind in fields.items()]
    schema = pa.schema([pa.field(name, kind.arrow) for name, kind in fields.items()])
    schema = schema.with_metadata({"fullcast.record": cls.__name__, **dict(sorted((metadata or {}).items()))})
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary, compression="zstd")


def read_records(path: Path, cls: type[Record]) -> list[Record]:
    """The records that `write_records` wrote. Raises `UnreadableFile` for what is no Parquet file of such records."""
    table = _open(path, lambda: pq.read_table(path))
    columns: dict[str, list[Any]] = {}
    for name, kind in _fields(cls).items():
        if name in table.column_names:
            columns[name] = _values(table.column(name), kind)
        elif name not in _optional(cls):
            raise UnreadableFile(path, "unreadable", f"a table of {cls.__name__} needs a column {name!r}; it has none")
    return [cls(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def read_metadata(path: Path) -> dict[str, str]:
    """What was given as `metadata`, and ``fullcast.record``: the name of the class."""
    schema = _open(path, lambda: pq.read_schema(path))
    return {k.decode(): v.decode() for k, v in (schema.metadata or {}).items() if k != b"ARROW:schema"}


def to_plain(record: Any) -> dict[str, Any]:
    """A record as JSON-ready values: nested records as dicts, tuples and arrays as lists."""
    return {name: kind.plain(getattr(record, name)) for name, kind in _fields(type(record)).items()}


def from_plain(cls: type[Record], value: Mapping[str, Any]) -> Record:
    """The record that `to_plain` took apart; fields that are missing take their defaults."""
    return _build(cls, value)


@dataclasses.dataclass(frozen=True)
class _Kind:
    """How one annotation is stored: its Arrow type, the way in (plain Python) and the way back."""

    arrow: pa.DataType
    store: Callable[[Any], Any]
    load: Callable[[Any], Any]
    plain: Callable[[Any], Any]
    """To JSON-ready values; differs from `store` only for maps."""
    array: bool = False
    """A 1-D ndarray: read and written without a Python float per number."""
    direct: bool = False
    """Stored and loaded as it is."""


def _fields(cls: Any) -> dict[str, _Kind]:
    return _fields_of(cls)


@functools.cache
def _fields_of(cls: Any) -> dict[str, _Kind]:
    if not dataclasses.is_dataclass(cls):
        raise FullcastError(f"only dataclasses can be written as a table; got {cls!r}")
    hints, name = get_type_hints(cls), str(getattr(cls, "__name__", cls))
    return {field.name: _kind(hints[field.name], f"{name}.{field.name}") for field in dataclasses.fields(cls)}


def _optional(cls: Any) -> frozenset[str]:
    missing = dataclasses.MISSING
    fields = dataclasses.fields(cls)
    return frozenset(f.name for f in fields if f.default is not missing or f.default_factory is not missing)


def _kind(hint: Any, where: str) -> _Kind:
    """The `_Kind` of an annotation; raises TypeError for one that has no place in a table."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _SCALARS:
        return _Kind(_SCALARS[hint], _same, _same, _same, direct=True)
    if origin is Literal:
        return _Kind(pa.string(), _same, _same, _same, direct=True)
    if origin in (Union, types.UnionType):
        inner = [a for a in arguments if a is not type(None)]
        if len(inner) == 1:
            return _nullable(_kind(inner[0], where))
    if hint is np.ndarray:
        return _Kind(pa.list_(pa.float32()), _vector, _from_vector, lambda v: _vector(v).tolist(), array=True)
    if origin is tuple:
        items = {a for a in arguments if a is not Ellipsis}
        if len(items) == 1:
            return _sequence(_kind(items.pop(), where))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(arguments, where)
    if dataclasses.is_dataclass(hint):
        return _struct(hint)  # type: ignore[arg-type]
    raise TypeError(f"{where}: {hint!r} has no place in a table; use str, int, float, bool, tuple, Mapping or a record")


def _nullable(kind: _Kind) -> _Kind:
    def optional(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: None if value is None else function(value)

    return dataclasses.replace(kind, store=optional(kind.store), load=optional(kind.load), plain=optional(kind.plain))


def _sequence(kind: _Kind) -> _Kind:
    return _Kind(
        pa.list_(kind.arrow),
        lambda values: [kind.store(v) for v in values],
        lambda values: tuple(kind.load(v) for v in values or ()),
        lambda values: [kind.plain(v) for v in values],
    )


def _mapping(arguments: tuple[Any, ...], where: str) -> _Kind:
    if arguments[0] is not str:
        raise TypeError(f"{where}: only mappings from str have a place in a table")
    if arguments[1] not in _SCALARS:
        return _Kind(pa.string(), lambda v: json.dumps(v, sort_keys=True, ensure_ascii=False), _from_json, dict)
    return _Kind(
        pa.map_(pa.string(), _SCALARS[arguments[1]]),
        lambda values: sorted(values.items()),
        lambda values: dict(values or ()),
        dict,
    )


def _struct(cls: type) -> _Kind:
    # Resolved late, inside the functions, only for the values; the Arrow type is needed now.
    fields = _fields(cls)
    return _Kind(
        pa.struct([pa.field(name, kind.arrow) for name, kind in fields.items()]),
        lambda record: {name: kind.store(getattr(record, name)) for name, kind in fields.items()},
        lambda row: _build(cls, row),
        to_plain,
    )


def _build(cls: type[Record], row: Mapping[str, Any]) -> Record:
    return cls(**{name: kind.load(row[name]) for name, kind in _fields(cls).items() if name in row})


def _same(value: Any) -> Any:
    return value


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else dict(value)


def _vector(value: Any) -> np.ndarray:
    value = np.asarray(value, dtype=np.float32)
    if value.ndim != 1:
        raise FullcastError(f"a table holds vectors, (D,) float32; got an array of shape {value.shape}")
    return value


def _from_vector(value: Any) -> np.ndarray:
    return np.asarray(value, dtype=np.float32)


def _column(values: list[Any], kind: _Kind) -> pa.Array:
    return pa.array(values if kind.direct else [kind.store(value) for value in values], type=kind.arrow)


def _values(column: pa.ChunkedArray, kind: _Kind) -> list[Any]:
    if not kind.array:
        rows = column.to_pylist()
        return rows if kind.direct else [kind.load(row) for row in rows]
    values: list[Any] = []
    for chunk in column.chunks:
        offsets, numbers = chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=False)
        valid = chunk.is_valid().to_numpy(zero_copy_only=False)
        bounds = zip(offsets[:-1], offsets[1:], valid, strict=True)
        values += [numbers[start:stop].astype(np.float32) if present else None for start, stop, present in bounds]
    return values


def _open(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except FileNotFoundError as error:
        raise UnreadableFile(path, "missing", "there is no such table; run the stage that writes it first") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableFile(path, "unreadable", f"not a Parquet file that can be read ({error})") from error
