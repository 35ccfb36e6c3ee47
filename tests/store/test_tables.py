"""Records go to Parquet and come back equal, and other tools read the same file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fullcast.records import Drop, Found, Image, Person, Picture, Placement, Sample, Scene, Shot, Verdict, Video
from fullcast.store.errors import UnreadableFile
from fullcast.store.tables import from_plain, read_metadata, read_records, to_plain, write_records


@dataclass(frozen=True)
class Mixed:
    name: str
    scores: Mapping[str, float]
    extra: Mapping[str, Any]
    cell: tuple[int, int] | None = None


PERSON = Person(
    "i/1-2-3-4",
    "i",
    (1.5, 2.0, 3.0, 4.0),
    0.9,
    head_xyxy=(1.0, 2.0, 2.0, 3.0),
    tags=("赤い髪", "smile"),
    embedding=np.array([0.6, 0.8], np.float32),
)
FACELESS = Person("i/5-6-7-8", "i", (5.0, 6.0, 7.0, 8.0), 0.4)
SCENE = Scene("s1", "park", (Placement("aoi", "hairdown", cell=(1, 2)), Placement("hinata", box=(0.5, 0, 1, 1))))
EXAMPLES = [
    Video("v", "episodes/第1話.mp4", 1280, 720, 23.976, 1440, 60.0),
    Shot("v:0001", "v", 1, 0.0, 2.5),
    Image("i", "data/frames/v/1.png", 1280, 720, "screenshots", tags=("a", "b")),
    Drop("x", "ingest", "unreadable"),
    PERSON,
    FACELESS,
    Sample("s", "i", "p.png", (0.0, 0.0, 9.0, 9.0), "fanart", people=(PERSON, FACELESS)),
    Picture("p", "p.png", SCENE, "prompt", "", 7, 64, 64, 20, 6.5, "ddim", "data/runs/a"),
    Verdict("p", "s1", 2, 1, (Found((0, 0, 1, 1), None, 0.9, "aoi", "", 0.8, 0.1, asked=0),), missing=("hinata",)),
    Mixed("m", {"b": 2.0, "a": 1.0}, {"list": [1, 2], "word": "葵"}, (3, 4)),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda r: type(r).__name__)
def test_every_noun_comes_back_equal(tmp_path: Path, record: Any) -> None:
    write_records(tmp_path / "t.parquet", [record, record], type(record))
    assert read_records(tmp_path / "t.parquet", type(record)) == [record, record]
    assert from_plain(type(record), to_plain(record)) == record


def test_embeddings_come_back_bit_for_bit_also_inside_a_sample(tmp_path: Path) -> None:
    people = [PERSON, FACELESS, PERSON]
    write_records(tmp_path / "p.parquet", people, Person)
    back = read_records(tmp_path / "p.parquet", Person)
    assert [p.embedding is None for p in back] == [False, True, False]
    assert back[2].embedding.dtype == np.float32 and np.array_equal(back[2].embedding, PERSON.embedding)
    sample = EXAMPLES[6]
    write_records(tmp_path / "s.parquet", [sample], Sample)
    assert np.array_equal(read_records(tmp_path / "s.parquet", Sample)[0].people[0].embedding, PERSON.embedding)


@pytest.mark.parametrize("cls", [Person, Sample, Picture, Verdict, Mixed])
def test_no_records_give_columns_without_rows(tmp_path: Path, cls: type) -> None:
    write_records(tmp_path / "none.parquet", [], cls)
    assert read_records(tmp_path / "none.parquet", cls) == []
    assert duckdb.sql(f"select count(*) from '{tmp_path}/none.parquet'").fetchall() == [(0,)]


def test_metadata_and_bytes_are_the_same_for_the_same_input(tmp_path: Path) -> None:
    for name in ("a", "b"):
        metadata = {"embedder": "ccip", "version": "3"} if name == "a" else {"version": "3", "embedder": "ccip"}
        write_records(tmp_path / f"{name}.parquet", [PERSON], Person, metadata)
    assert read_metadata(tmp_path / "a.parquet") == {"embedder": "ccip", "version": "3", "fullcast.record": "Person"}
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_duckdb_sees_fields_and_nested_people(tmp_path: Path) -> None:
    write_records(tmp_path / "s.parquet", [EXAMPLES[6]], Sample)
    row = duckdb.sql(f"select source, len(people), people[1].tags[1] from '{tmp_path}/s.parquet'").fetchall()[0]
    assert row == ("fanart", 2, "赤い髪")


def test_a_column_of_later_takes_its_default_and_an_unknown_one_is_passed_over(tmp_path: Path) -> None:
    table = pa.table({"item": ["x"], "stage": ["s"], "reason": ["r"], "colour": ["red"]})
    pq.write_table(table, tmp_path / "old.parquet")
    assert read_records(tmp_path / "old.parquet", Drop) == [Drop("x", "s", "r", "")]
    pq.write_table(pa.table({"item": ["x"]}), tmp_path / "wrong.parquet")
    with pytest.raises(UnreadableFile, match="needs a column 'stage'"):
        read_records(tmp_path / "wrong.parquet", Drop)


def test_what_is_no_table_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(UnreadableFile, match="not a Parquet file"):
        read_records(tmp_path / "text.parquet", Drop)
    with pytest.raises(UnreadableFile, match="run the stage that writes it first"):
        read_records(tmp_path / "gone.parquet", Drop)
