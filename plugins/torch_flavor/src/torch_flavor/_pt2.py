"""The ``.pt2`` archive: read strictly, and made anew before torch sees it.

``torch.export.load`` unpickles, evaluates and imports what an archive tells it to. So it is given another archive: one
laid out by ourselves, with documents that were rebuilt value by value and without sample inputs, guards and traces. The
file that we write when saving is made the same way, from what ``torch.export.save`` wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from palate.errors import UnsafeModel
from palate.hookspecs import parse_json
from torch_flavor._payloads import check_payloads, check_states
from torch_flavor._program_document import InvalidDocument, rebuild_payloads, rebuild_program
from torch_flavor._zip_reading import Member, read_members
from torch_flavor._zip_writing import Region, StitchedFile, append_records, lay_out

__all__ = ["CheckedArchive", "check_archive"]

T = TypeVar("T")

# Some thirty thousand nodes. A value takes up to two hundred bytes once read, however short its text.
_MAX_JSON = 128 << 20
_MAX_VALUES = 3 << 20
_NAME = r"[A-Za-z0-9_]{1,64}"
_TENSORS = re.compile(r"data/(weights/weight|constants/tensor)_\d{1,7}", re.ASCII)
_DOCUMENTS = (
    "models/model.json",
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
)
# What torch and MLflow's archives hold besides; nothing of it is handed on.
_LEFT_BEHIND = re.compile(
    r"data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|version|\.format_version"
    r"|\.data/version|\.data/serialization_id|\.storage_alignment",
    re.ASCII,
)
_ROOT = "archive"  # what torch calls it in a file that it is given open


@dataclass(frozen=True, slots=True)
class CheckedArchive:
    """An archive that passed.

    Attributes:
        tensors: its records of weights and constants.
        documents: the others by name, all made anew.
    """

    tensors: Mapping[str, Member]
    documents: Mapping[str, bytes]

    def stitched(self, file: IO[bytes]) -> StitchedFile:
        """Return the archive to hand to torch, whose tensors are read from *file*."""
        records: dict[str, bytes | Region] = {
            name: Region(member.offset, member.size, member.crc) for name, member in self.tensors.items()
        }
        records.update(self.documents)
        return StitchedFile(lay_out((f"{_ROOT}/{name}", content) for name, content in records.items()), file)

    def write_back(self, file: IO[bytes]) -> None:
        """Turn *file*, which this archive was read from, into the archive that is handed to torch."""
        kept, moved, place = list[Member](), dict[str, bytes](), 0
        for name, member in self.tensors.items():
            if member.header == place:  # in one run from the start: weights, which may be large, are not copied
                kept.append(member)
                place = member.stop
            else:
                file.seek(member.offset)
                moved[name] = file.read(member.size)
        records = {**moved, **self.documents}
        append_records(file, kept, ((f"{_ROOT}/{name}", content) for name, content in records.items()))


def check_archive(file: IO[bytes], label: str) -> CheckedArchive:
    """Check a .pt2 and lay out the archive that takes its place.

    Raises:
        UnsafeModel: naming *label* and the rule that it breaks.
    """
    members = _by_record(read_members(file, label), label)
    documents = [_document(file, members, name, label) for name in _DOCUMENTS]
    program = _rebuilt(rebuild_program, documents[0], label, _DOCUMENTS[0])
    weights, constants = (
        _rebuilt(rebuild_payloads, document, label, name)
        for document, name in zip(documents[1:], _DOCUMENTS[1:], strict=True)
    )
    for config, folder, prefix in ((weights, "data/weights/", "weight_"), (constants, "data/constants/", "tensor_")):
        sizes = {n[len(folder) :]: m.size for n, m in members.items() if n.startswith(folder) and _TENSORS.fullmatch(n)}
        if problem := check_payloads(config, sizes, prefix):
            raise UnsafeModel(label, rule=problem)
    if twice := sorted(set(weights) & set(constants)):
        raise UnsafeModel(label, rule=f"the tensor {twice[0]!r} is stored twice")
    if problem := check_states(program, {**weights, **constants}):
        raise UnsafeModel(label, rule=problem)
    tensors = {name: member for name, member in members.items() if _TENSORS.fullmatch(name)}
    return CheckedArchive(tensors, _documents(program, weights, constants))


def _by_record(members: list[Member], label: str) -> dict[str, Member]:
    """Return the members by their names below the one root."""
    found: dict[str, Member] = {}
    for member in members:
        root, _, record = member.name.partition("/")
        if not re.fullmatch(_NAME, root, re.ASCII) or root != members[0].name.partition("/")[0]:
            raise UnsafeModel(label, rule=f"it holds more than one archive: {member.name!r:.80}")
        known = record in _DOCUMENTS or _TENSORS.fullmatch(record) or _LEFT_BEHIND.fullmatch(record)
        if not known:
            raise UnsafeModel(label, rule=f"it holds {record!r:.80}, which is no part of a graph and its tensors")
        found[record] = member
    return found


def _document(file: IO[bytes], members: dict[str, Member], name: str, label: str) -> Any:
    member = members.get(name)
    if member is None:
        raise UnsafeModel(label, rule=f"it holds no {name}")
    if member.size > _MAX_JSON:
        raise UnsafeModel(label, rule=f"its {name} is larger than {_MAX_JSON >> 20} MiB")
    file.seek(member.offset)
    data = file.read(member.size)
    if not data.isascii():  # torch escapes other letters; each would take four bytes in memory
        raise UnsafeModel(label, rule=f"its {name} is damaged: it has bytes that are not ASCII")
    if sum(map(data.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise UnsafeModel(label, rule=f"its {name} has more than {_MAX_VALUES:,} values")
    try:
        return parse_json(data, max_bytes=_MAX_JSON, constants=True)
    except ValueError as exc:
        raise UnsafeModel(label, rule=f"its {name} is damaged: {exc!s:.200}") from exc


def _rebuilt(rebuild: Callable[[object], T], document: object, label: str, name: str) -> T:
    try:
        return rebuild(document)
    except InvalidDocument as exc:
        raise UnsafeModel(label, rule=f"in its {name}, {exc!s:.500}") from exc
    except RecursionError as exc:
        raise UnsafeModel(label, rule=f"its {name} is nested too deeply") from exc


def _documents(program: object, weights: object, constants: object) -> dict[str, bytes]:
    return {
        _DOCUMENTS[1]: _dumped({"config": weights}),
        _DOCUMENTS[2]: _dumped({"config": constants}),
        _DOCUMENTS[0]: _dumped(program),
        "data/sample_inputs/model.pt": b"",
        "archive_format": b"pt2",
        "archive_version": b"0",
        ".data/version": b"6\n",
        "byteorder": b"little",
    }


def _dumped(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")
