"""Damaged files by the hundred: each is refused by an error, or opens and predicts; no process ever dies of one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

pytestmark = pytest.mark.slow

COUNT = 420

# The child opens every mutant in turn, and tells after each how it went; a dead child's last line names the killer.
OPEN = """
import sys, time, warnings, logging
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
from pathlib import Path
import numpy as np, torch, palate, torch_flavor
from palate._code.model_code import ModelCode
from palate.hookspecs import LoadOptions
root, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
extra = {"module": lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))}
options = LoadOptions(
    code=ModelCode(None),
    extra=extra if "safetensors" in name else {},
    map_file=lambda name: memoryview(bytearray((root / name).read_bytes())),
)
ones = np.ones((2, 3), "float32")
data = {"a": ones, "b": ones} if "graph" in name else ones
# The first model that is opened brings torch's compiler along, which takes its time.
torch_flavor.load_model(path=root, config={"model_data": "intact"}, options=options)
for number in range(count):
    print("opening", number, flush=True)
    started = time.process_time()
    section = {"model_data": str(number)}
    try:
        model = torch_flavor.load_model(path=root, config=section, options=options)
    except Exception as exc:
        kind = "refused" if isinstance(exc, palate.errors.PalateError) else "failed"
    else:
        kind = "opened"
        try:
            torch_flavor.predict(model=model, data=data, params={})
        except Exception:
            kind = "opened, and did not predict"
    print(kind, flush=True)
    if time.process_time() - started > 5:
        sys.exit(f"{number} took too long")
"""


def mutants(data: bytes, seed: int) -> Iterator[bytes]:
    """Yield copies with bits flipped, bytes overwritten, parts cut out, repeated and swapped, and lengths changed."""
    rng = random.Random(seed)
    for number in range(COUNT):
        changed = bytearray(data)
        at = rng.randrange(len(data))
        match number % 7:
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                for _ in range(rng.randrange(1, 9)):
                    changed[rng.randrange(len(data))] = rng.randrange(256)
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + rng.randrange(1, 64)]
            case 4:
                part = changed[at : at + rng.randrange(1, 64)]
                place = rng.randrange(len(data))
                changed[place:place] = part
            case 5:
                size = rng.choice((1, 2, 4, 8))
                changed[at : at + size] = rng.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * size
            case 6:
                # Lengths stand at the ends: in the header of weights, and in the directory of an archive.
                near = rng.randrange(min(len(data), 64))
                changed[-near if rng.random() < 0.5 else near] = rng.randrange(256)
        yield bytes(changed)


def document_mutants(data: bytes, seed: int) -> Iterator[bytes]:
    """Yield copies of a JSON text in which single values were replaced by others, also of the same kind."""
    rng = random.Random(seed)
    for _ in range(COUNT):
        document = json.loads(data)
        places = list(_places(document))
        for _ in range(rng.choice((1, 1, 2, 4))):
            holder, key = rng.choice(places)
            donor, part = rng.choice(places)
            others = (0, 1, -1, 2**31, 2**62, -(2**63), True, None, [], {}, "x", "s0", 0.5)
            holder[key] = deepcopy(donor[part]) if rng.random() < 0.3 else rng.choice(others)
        yield json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(part, dict | list):
            yield from _places(part)


def lay_out(root: Path, intact: Path, contents: Iterator[bytes]) -> None:
    """Write each mutant into a folder of its own, and the file that they are made of into another."""
    named = (("intact", intact.read_bytes()), *((str(number), content) for number, content in enumerate(contents)))
    for name, content in named:
        (root / name).mkdir(parents=True)
        (root / name / intact.name).write_bytes(content)


def check(run_python, root: Path, name: str, *, opens: int) -> None:
    """Open the mutants in a child, and check that it lived through all of them."""
    done = run_python(OPEN, root, name, COUNT, timeout=170)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-3:], done.stderr[-500:])
    results = [line for line in lines if not line.startswith("opening")]
    assert len(results) == COUNT
    assert results.count("refused") > COUNT // 4
    assert sum(result.startswith("opened") for result in results) >= opens


@pytest.fixture
def model() -> nn.Module:
    """A small network."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def test_archives(save, model, run_python, tmp_path):
    """Damaged .pt2 archives."""
    file = save(model, input_example=np.ones((2, 3), "float32")) / "data" / "model.pt2"
    lay_out(tmp_path / "mutants", file, mutants(file.read_bytes(), 1))
    check(run_python, tmp_path / "mutants", "model.pt2", opens=1)


def test_weights(save, model, run_python, tmp_path):
    """Damaged .safetensors files."""
    file = save(model, format="safetensors") / "data" / "model.safetensors"
    lay_out(tmp_path / "mutants", file, mutants(file.read_bytes(), 2))
    check(run_python, tmp_path / "mutants", "model.safetensors", opens=1)


class Busy(nn.Module):
    """A graph with conditions, attention, recurrence and index arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.layer = nn.Linear(3, 4)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.lstm(a[:, None])[0]
        z = nn.functional.scaled_dot_product_attention(y[None], y[None], y[None])[0]
        c = torch.cond(b.sum() > 0, lambda b: b + 1, lambda b: b - 1, (b,))
        return {
            "x": z[:, 0] + self.layer(c),
            "y": torch.arange(a.shape[0] * 2).view(a.shape[0], 2).gather(1, a.argmax(1, True) % 2),
        }


def test_programs(save, archive, run_python, tmp_path):
    """Archives that are whole, around a program in which values were exchanged."""
    ones = np.ones((2, 3), "float32")
    file = save(Busy(), input_example={"a": ones, "b": ones}) / "data" / "model.pt2"
    root, parts = tmp_path / "mutants", archive(file)
    lay_out(root, file, iter(()))
    for number, text in enumerate(document_mutants(parts.records["archive/models/model.json"], 3)):
        (root / str(number)).mkdir()
        parts.records["archive/models/model.json"] = text
        parts.write(root / str(number) / "model.pt2")
    check(run_python, root, "graph model.pt2", opens=1)
