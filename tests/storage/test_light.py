"""The dataclasses that a run makes several of for each photo."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

from cropper.engine.job import Done, Finished
from cropper.ledger.changes import Change, Known
from cropper.ledger.table import Row
from cropper.storage.light import light_dataclass
from cropper.storage.places import Trace, Version


def test_they_are_as_other_dataclasses_and_set_their_fields_by_no_method() -> None:
    @dataclass(frozen=True)
    class Frozen:
        number: int
        name: str = "a"

    @light_dataclass(frozen=True)
    class Light:
        number: int
        name: str = "a"

    assert Light(1) == Light(1, "a") != Light(2)
    assert hash(Light(1)) == hash(Frozen(1))
    assert repr(replace(Light(1), name="b")).endswith("Light(number=1, name='b')")
    for kind in (Row, Version, Trace, Change, Known, Done, Finished):
        assert kind.__setattr__ is object.__setattr__, kind
    done = Done("a", (Row("a", "a", "ok"),))
    assert pickle.loads(pickle.dumps(done)) == done
