"""YAML that is not valid is refused in one line, with the place of the fault and not of what was begun before it."""

import pytest

from edgechaos_core.system.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("text", "said"),
    [  # some faults are of a part that began earlier, others stand alone
        ("a: 1\nb: [1,\n  2", "while parsing a flow sequence, expected .* \\(line 3, column 4\\)"),
        ("a: 1\nb: c: d", "mapping values are not allowed here \\(line 2, column 5\\)"),
        ("a: 1\nb: 2\na: 3", 'while constructing a mapping, found duplicate key "a" .* \\(line 3, column 1\\)'),
        ("a: 1\nb: *c", "found undefined alias 'c' \\(line 2, column 4\\)"),
        ("a: 1\nb: !!python/object:c.D {}", "could not determine a constructor for the tag .* \\(line 2, column 4\\)"),
        ("a: 1\n---\nb: 2", "expected a single document .* \\(line 2, column 1\\)"),
        ("a: \x01", "unacceptable character #x0001: .* position 3"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, said, tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{said}$"):
        read_yaml(path)
