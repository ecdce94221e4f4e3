"""YAML as its version 1.2 has it, in UTF-8: 010 is ten, ``1:30`` and ``yes`` are words, no name is given twice."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a file's one document, merge keys (``<<``) resolved; never runs or constructs what a tag names.

    Raises OSError where it cannot be read, ValueError in one line where it is not UTF-8 or not valid YAML.
    """
    try:
        # pure: libyaml, used otherwise where it is installed, reads YAML 1.1. Editors of Windows begin a file with a
        # byte-order mark.
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except MarkedYAMLError as error:  # its text has the place five times, and advice for programmers
        said = [part for part in (error.context, error.problem) if part]
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(" ".join(", ".join(said).split()) + where) from None
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
