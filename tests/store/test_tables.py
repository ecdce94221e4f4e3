"""Tables of any columns are read back as they were written, and told from those that were changed."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgechaos_core.store.tables import read_table, table_bytes, write_table

FRAME = pd.DataFrame({"way": ["held", "free", "ä"], "epoch": [1, 2, 3], "loss": [0.5, float("nan"), 0.25]})


def test_text_is_digested_by_its_content(tmp_path):
    path = tmp_path / "table.parquet"
    write_table(FRAME, {"who": "a test"}, path)
    found, metadata = read_table(path)
    pd.testing.assert_frame_equal(found, FRAME)
    assert metadata == {"who": "a test"}
    again = pd.DataFrame({name: list(FRAME[name]) for name in FRAME})  # other objects in memory, the same content
    assert table_bytes(again, {"who": "a test"}) == path.read_bytes()


def test_a_changed_word_is_noticed(tmp_path):
    path = tmp_path / "table.parquet"
    write_table(FRAME, {}, path)
    table = pq.read_table(path)
    way = table.column("way").to_pylist()
    changed = table.set_column(
        0, table.schema.field("way"), pa.array(["hold", *way[1:]], table.schema.field("way").type)
    )
    pq.write_table(changed, path)
    with pytest.raises(ValueError, match="does not match its SHA-256 digest"):
        read_table(path)
