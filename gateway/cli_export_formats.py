"""The forms in which rows leave: NDJSON, CSV, Parquet. Each holds a few thousand rows at most.

CSV and Parquet have one column for each of the table's; what else an event holds goes, as JSON,
into the column `payload`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, BinaryIO, Final, Protocol

Item = Mapping[str, Any]

ROW_GROUP: Final = 10_000
"""Rows of a Parquet row group: enough to compress well, little to hold."""
PAYLOAD: Final = "payload"


class Form(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


class NoParquet(Exception):
    """pyarrow is not installed."""


class Writing(Protocol):
    def write(self, rows: Sequence[Item]) -> None: ...

    def close(self) -> None: ...


def columns(table: str) -> dict[str, type]:
    """The columns of an export and their types; of everything that happened for `events`."""
    from storage.models import STREAM, TABLES, Flag

    found: dict[str, type] = {}
    for name in STREAM if table == "events" else (table,):
        for column in TABLES[name].columns:
            flag = isinstance(column.type, Flag)
            found.setdefault(column.name, bool if flag else column.type.python_type)
    found.setdefault("kind", str)
    if "provider" in found:
        found.setdefault("target", str)
    if table == "events":
        found["switch"] = str
        found[PAYLOAD] = found.pop(PAYLOAD)
    return found


def writing(form: Form, table: str, output: BinaryIO) -> Writing:
    """Raises `NoParquet`."""
    match form:
        case Form.NDJSON:
            return Ndjson(output)
        case Form.CSV:
            return Csv(output, columns(table))
        case Form.PARQUET:
            return Parquet(output, columns(table))


class Ndjson:
    """One JSON object a line, as the history API shows it."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output

    def write(self, rows: Sequence[Item]) -> None:
        lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
        self._output.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        self._output.flush()


class Csv:
    """RFC 4180, with a line of heads; NULL is an empty cell."""

    def __init__(self, output: BinaryIO, columns: Mapping[str, type]) -> None:
        self._columns = columns
        self._text = io.TextIOWrapper(output, encoding="utf-8", newline="", write_through=True)
        self._csv = csv.writer(self._text)
        self._csv.writerow(columns)

    def write(self, rows: Sequence[Item]) -> None:
        self._csv.writerows(
            [_cell(value) for value in flat(row, self._columns).values()] for row in rows
        )

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


class Parquet:
    """One file of row groups, compressed by zstd."""

    def __init__(self, output: BinaryIO, columns: Mapping[str, type]) -> None:
        try:
            import pyarrow as arrow
            from pyarrow import parquet
        except ImportError as error:
            message = "Parquet needs pyarrow: pip install pyarrow"
            raise NoParquet(message) from error
        kinds = {int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
        self._columns = columns
        self._schema = arrow.schema(
            [(name, kinds.get(kind, arrow.string())) for name, kind in columns.items()]
        )
        self._batch = arrow.RecordBatch.from_pylist
        make: Callable[..., Any] = parquet.ParquetWriter
        self._writer = make(output, self._schema, compression="zstd")
        self._held: list[dict[str, Any]] = []

    def write(self, rows: Sequence[Item]) -> None:
        self._held += (flat(row, self._columns) for row in rows)
        if len(self._held) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_batch(self._batch(self._held, schema=self._schema))
        self._held.clear()

    def close(self) -> None:
        if self._held:
            self._flush()
        self._writer.close()


def flat(row: Item, columns: Mapping[str, type]) -> dict[str, Any]:
    """The row's columns in order, None where it has none; the rest of it under `payload`."""
    found = {name: _plain(row.get(name)) for name in columns}
    if PAYLOAD in columns:
        rest = {name: value for name, value in row.items() if name not in columns}
        found[PAYLOAD] = json.dumps(rest, ensure_ascii=False) if rest else None
    return found


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Lists as JSON: a column holds one kind of thing."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
