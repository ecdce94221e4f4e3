"""One table, one Parquet file: rows, metadata in the schema, and a SHA-256 digest of both.

A file appears whole or not at all: it is written beside its place, synced and renamed. Parquet's own checksums leave
the schema out, hence the digest.
"""

import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgechaos_core import EdgechaosError


class TableError(EdgechaosError):
    """A file is missing, damaged or cannot be written; the message names it."""


def write_table(frame: pd.DataFrame, metadata: Mapping[str, str], path: Path) -> None:
    """Write a table to ``path``: whole or not at all. Raises TableError naming the file where it cannot be written."""
    write_whole(path, table_bytes(frame, metadata))


def table_bytes(frame: pd.DataFrame, metadata: Mapping[str, str]) -> bytes:
    """Return the content of a table's file."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # Ours take the place of pandas' own, which name its version: the same run gives the same bytes.
    table = table.replace_schema_metadata({**metadata, "sha256": _digest(_columns(frame), metadata)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises TableError naming it where it cannot be written."""
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with own.open("xb") as file:  # the system applies the umask, which a temporary file of Python's own ignores
            scratch = own
            file.write(content)
            file.flush()
            # The content before the name, and the name before the folder: a machine that stops in between has the old
            # file or the new one, and never a new name without its content.
            os.fsync(file.fileno())
        scratch.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise TableError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)


def read_metadata(path: Path) -> dict[str, str]:
    """Read a table's metadata alone, unverified; errors as they come, see `named_errors`."""
    # Absolute, as pyarrow takes the beginning of a relative path for a home folder (~) or a scheme (s3:).
    return {name.decode(): value.decode() for name, value in (pq.read_schema(path.absolute()).metadata or {}).items()}


def read_table(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read a table and its metadata back, verifying the digest; errors as they come, see `named_errors`."""
    table, metadata = read_arrow(path)
    return table.to_pandas(), metadata


def read_arrow(path: Path) -> tuple[pa.Table, dict[str, str]]:
    """Do as `read_table` does, but leave the table to pyarrow, which is faster for many."""
    with pq.ParquetFile(path.absolute(), page_checksum_verification=True) as file:
        table = file.read(use_threads=False)
    metadata = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
    expected = metadata.pop("sha256")
    if _digest(dict(zip(table.column_names, (column.to_numpy() for column in table.columns))), metadata) != expected:
        raise ValueError("its content does not match its SHA-256 digest")
    return table, metadata


@contextmanager
def named_errors(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever reading and parsing a file raises into a TableError that names it and its ``kind``."""
    try:
        yield
    except FileNotFoundError as error:
        raise TableError(f"{path} does not exist") from error
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TableError(f"{path} is not a readable {kind} ({type(error).__name__}: {reason})") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _columns(frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    return {str(name): frame[name].to_numpy() for name in frame}


def _digest(columns: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    kinds = [(name, str(values.dtype)) for name, values in columns.items()]
    digest = hashlib.sha256(json.dumps([kinds, metadata], sort_keys=True).encode())
    for values in columns.values():
        # The bytes of an array of objects are where in memory these lie; of text its content counts.
        digest.update(json.dumps(values.tolist()).encode() if values.dtype == object else values.tobytes())
    return digest.hexdigest()
