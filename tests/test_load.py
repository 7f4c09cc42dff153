"""The load run and the round trip at a small size: the long ones are commands."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import load, people, round_trip
from benchmarks.processes import engine
from ganpaint_engine.client import JobEvent


def test_twenty_seconds_of_load_lose_nothing(home: Path) -> None:
    with engine("--device", "cpu"):
        tally, unloaded, stats = load.run(4, 20, seed=1, model="churches")
    assert not tally.problems
    assert tally.counts["results"] >= 4
    assert stats["queue"]["jobs"] == 0
    text = load.table(tally, unloaded, stats)
    assert "| **lost results** | 0 |" in text
    assert "| **foreign results** | 0 |" in text


def test_a_foreign_result_would_be_noticed() -> None:
    person = people.Person.__new__(people.Person)  # without a connection
    person.name, person.tally = "client 1", people.Tally()
    photo = people.photo_of(1)
    request = people.Request(0, "tree", "add", "preview", 7)
    name = people.digest(photo.tobytes(), photo.shape)
    right = {"photo": name, "seed": 7, "concept": "tree", "operation": "add", "quality": "preview"}
    for changed in ({}, {"seed": 8}, {"photo": "0"}, {"concept": "dome"}):
        event = JobEvent("result", "job", report=right | changed)
        person._check("job", request, event, photo)
    assert person.tally.counts == {"results": 4, "foreign": 3}


def test_memory_is_told_by_minute() -> None:
    tally = people.Tally(memory=[(0.0, 2**20), (59.0, 3 * 2**20), (60.0, 4 * 2**20)])
    assert load.memory_per_minute(tally) == [2.0, 4.0]
    assert load.spread([100.0, 101.0, 99.0]) == pytest.approx(0.02)


def test_the_round_trip_is_measured(home: Path) -> None:
    times = round_trip.run(2, (256, 256))
    assert {name: len(seconds) for name, seconds in times.items()} == dict.fromkeys(times, 2)
    assert all(np.array(seconds).min() > 0 for seconds in times.values())
    assert "service without that / echo" in round_trip.table(times)
