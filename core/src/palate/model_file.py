"""The MLmodel document: parsed once, checked whole, never altered.

Everything that MLflow wrote, and whatever else stands in the file, survives a rewrite. What Palate adds stands under
one top-level key, ``palate``, which stock MLflow carries along unread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from palate._disk.column_facts import add_facts, column_facts
from palate._disk.format import FORMAT_VERSION, MLFLOW_FORMAT_VERSION
from palate._disk.method_facts import add_methods, method_facts
from palate._disk.strict_yaml import find_unplain, read_yaml, write_yaml
from palate.errors import InvalidModelFile, InvalidOption, InvalidSignature, Problem
from palate.signature import Signature

__all__ = ["PYFUNC", "ModelFile", "build_model_file", "parse_model_file", "plain_problems"]

PYFUNC: Final = "python_function"
Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A valid MLmodel document; making one of an invalid document raises InvalidModelFile.

    Attributes:
        document: all of it, as plain data; ``to_yaml`` writes this. Do not alter it.
        signature: the signature with what Palate knows of its columns besides, or None.
    """

    document: Mapping[str, Any]
    signature: Signature | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        problems, signature = _read(self.document)
        if problems:
            raise InvalidModelFile(problems)
        object.__setattr__(self, "signature", signature)

    def to_yaml(self) -> str:
        """Return the text of MLmodel; equal documents give equal text."""
        return write_yaml(self.document)

    @property
    def flavors(self) -> Mapping[str, Mapping[str, Any]]:
        """The section of each flavor, by name; empty where MLmodel has null."""
        return {name: section or {} for name, section in (self.document.get("flavors") or {}).items()}

    def flavor(self, name: str) -> Mapping[str, Any]:
        """Return one flavor's section.

        Raises:
            InvalidOption: if the model has none of that name.
        """
        sections = self.flavors
        if name not in sections:
            present = ", ".join(sections) or "none"
            reason = f"this model has no flavor '{name}' (it has: {present})"
            raise InvalidOption("flavor", reason=reason, hint="name one that it has, or leave flavor out")
        return sections[name]

    @property
    def pyfunc(self) -> Mapping[str, Any] | None:
        """The ``python_function`` section, or None."""
        return self.flavors.get(PYFUNC)

    @property
    def default_method(self) -> str:
        """The method that stock MLflow's pyfunc calls: ``predict_fn``, or "predict"."""
        return str((self.pyfunc or {}).get("predict_fn", "predict"))

    @property
    def palate(self) -> Mapping[str, Any]:
        """Palate's own section; empty in a model that stock MLflow saved."""
        return self.document.get("palate") or {}

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        """The author's metadata, or None."""
        return self.document.get("metadata")

    @property
    def features(self) -> list[str]:
        """The names of the features behind a nameless table of inputs, as far as the model knows them."""
        return list(self.palate.get("features") or ())

    @property
    def type_from_example(self) -> bool:
        """Whether the model's function is given the container that its input example is (MLflow's TypeFromExample)."""
        return self.document.get("type_hint_from_example") is True

    @property
    def saved_input_example_info(self) -> Mapping[str, Any] | None:
        """What MLmodel says of the input example, or None."""
        return self.document.get("saved_input_example_info")

    @property
    def model_uuid(self) -> str | None:
        """The id that was drawn when the model was saved."""
        return self.document.get("model_uuid")

    @property
    def run_id(self) -> str | None:
        """The tracking run that made the model."""
        return self.document.get("run_id")

    @property
    def mlflow_version(self) -> str | None:
        """The MLflow version whose format the file follows."""
        return self.document.get("mlflow_version")

    @property
    def utc_time_created(self) -> str | None:
        """When the model was saved, as ``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC."""
        return self.document.get("utc_time_created")


def parse_model_file(text: bytes) -> ModelFile:
    """Read the bytes of an MLmodel file.

    Raises:
        InvalidModelFile: with every problem found.
    """
    document: Any = read_yaml(text, source="MLmodel")
    return ModelFile(document)


# -- checking ----------------------------------------------------------------------------------------------------------


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_KINDS: Final[dict[str, Callable[[object], bool]]] = {
    "text": _is_text,
    "text or null": lambda value: value is None or _is_text(value),
    "text, a mapping or null": lambda value: value is None or isinstance(value, str | dict),
    "a mapping": lambda value: isinstance(value, dict),
    "a mapping or null": lambda value: value is None or isinstance(value, dict),
    "a list or null": lambda value: value is None or isinstance(value, list),
    "a list of text or null": lambda value: value is None or _is_text_list(value),
    "true or false": lambda value: isinstance(value, bool),
    "true, false or null": lambda value: value is None or isinstance(value, bool),
    "a size or null": lambda value: value is None or _is_size(value),
}
_TOP_LEVEL: Final = {
    **dict.fromkeys(("model_uuid", "model_id", "mlflow_version", "utc_time_created", "run_id"), "text or null"),
    **dict.fromkeys(("artifact_path", "databricks_runtime"), "text or null"),
    **dict.fromkeys(("flavors", "metadata", "signature", "saved_input_example_info", "palate"), "a mapping or null"),
    **dict.fromkeys(("resources", "auth_policy"), "a mapping or null"),
    **dict.fromkeys(("is_signature_from_type_hint", "type_hint_from_example"), "true, false or null"),
    **dict.fromkeys(("prompts", "env_vars"), "a list of text or null"),
    "model_size_bytes": "a size or null",
}
# Null is refused where it makes MLflow's own loader fail.
_PYFUNC: Final = {
    **dict.fromkeys(("loader_module", "data", "predict_fn", "model_path", "pickle_module_name"), "text"),
    **dict.fromkeys(("python_model", "python_model_compression", "model_code_path"), "text or null"),
    **dict.fromkeys(("config", "artifacts"), "a mapping or null"),
    "env": "text, a mapping or null",  # text up to MLflow 1
    "streamable": "true or false",
}
_ANY_FLAVOR: Final = {"code": "text or null", "extra_files": "a list or null"}
_PALATE: Final = {
    **dict.fromkeys(("writer", "flavor", "python", "platform"), "text or null"),
    **dict.fromkeys(("inputs", "methods", "source", "golden", "environment"), "a mapping or null"),
    **dict.fromkeys(("features", "unresolved_modules", "unpublished_packages"), "a list of text or null"),
}
_ENVIRONMENT: Final = dict.fromkeys(("index_options", "local_labels", "wheels", "lock"), "a mapping or null")
_TYPE_WORDS: Final = {dict: "a mapping", list: "a list", str: "text", type(None): "null", bool: "true or false"}


def _read(document: object) -> tuple[list[Problem], Signature | None]:
    """Return everything that is wrong with an MLmodel document, and its signature if that part is right."""
    if not isinstance(document, dict):
        return [Problem((), "wrong_type", f"must be a mapping, not {_type_word(document)}")], None
    problems = [*_check_text_keys(document, ()), *_check_kinds(document, _TOP_LEVEL, ())]
    problems += _check_flavors(_mapping(document.get("flavors")))
    palate = _mapping(document.get("palate"))
    palate_problems = list(_check_palate(palate)) if palate else []
    problems += palate_problems
    known = {} if palate_problems else palate
    signature: Signature | None = None
    try:
        signature = add_facts(_read_signature(document), _mapping(known.get("inputs")))
        signature = add_methods(signature, _mapping(known.get("methods")))
    except InvalidSignature as exc:
        problems += [replace(problem, where=("signature", *problem.where)) for problem in exc.problems]
    except InvalidModelFile as exc:
        problems += exc.problems
    return problems, signature


def _mapping(value: object) -> Mapping[Any, Any]:
    """Return *value* if it is a mapping; what else it may be is reported by the check of its kind."""
    return value if isinstance(value, dict) else {}


def _check_text_keys(section: Mapping[Any, Any], where: Where) -> Iterator[Problem]:
    for key in section:
        if not isinstance(key, str):
            yield Problem((*where, str(key)), "wrong_type", "every key here must be text")


def _check_kinds(section: Mapping[str, Any], kinds: Mapping[str, str], where: Where) -> Iterator[Problem]:
    for key, kind in kinds.items():
        if key in section and not _KINDS[kind](section[key]):
            yield Problem((*where, key), "wrong_type", f"must be {kind}, not {_type_word(section[key])}")


def _type_word(value: object) -> str:
    return _TYPE_WORDS.get(type(value), "a number")


def _check_flavors(flavors: Mapping[Any, Any]) -> Iterator[Problem]:
    yield from _check_text_keys(flavors, ("flavors",))
    for name, section in flavors.items():
        where = ("flavors", str(name))
        if section is None:
            continue
        if not isinstance(section, dict):
            yield Problem(where, "wrong_type", f"must be a mapping or null, not {_type_word(section)}")
            continue
        yield from _check_text_keys(section, where)
        kinds = {**_version_kinds(section), **_ANY_FLAVOR, **(_PYFUNC if name == PYFUNC else {})}
        yield from _check_kinds(section, kinds, where)
        if name == PYFUNC and "loader_module" not in section:
            yield Problem((*where, "loader_module"), "missing", "is required: it names what loads the model")
        if name == PYFUNC:
            yield from _check_artifacts(_mapping(section.get("artifacts")), (*where, "artifacts"))


def _version_kinds(section: Mapping[Any, Any]) -> dict[str, str]:
    """Ask text of every version: read_yaml takes ``3.10`` there for text, so a number would not come back as one."""
    single = (key for key, value in section.items() if isinstance(key, str) and not isinstance(value, dict | list))
    return {key: "text or null" for key in single if key.endswith("version")}


def _check_artifacts(artifacts: Mapping[Any, Any], where: Where) -> Iterator[Problem]:
    for name, artifact in artifacts.items():
        if not isinstance(_mapping(artifact).get("path"), str):
            yield Problem((*where, str(name)), "wrong_type", "must be a mapping with text under 'path'")


def _read_signature(document: Mapping[str, Any]) -> Signature | None:
    section = document.get("signature")
    if not isinstance(section, dict):
        return None
    if all(section.get(part) is None for part in ("inputs", "outputs", "params")):
        # MLflow refuses such a model; what is good for one is good for both.
        raise InvalidSignature([Problem((), "wrong_value", "declares nothing; leave it out instead")])
    return Signature.from_dict(section, from_type_hints=document.get("is_signature_from_type_hint") is True)


def _check_palate(section: Mapping[Any, Any]) -> Iterator[Problem]:
    number = section.get("format")
    if not _is_size(number) or not number:
        yield Problem(("palate", "format"), "wrong_type", "must be a positive integer")
        return
    if number > FORMAT_VERSION:
        message = f"is {number}, from a newer Palate; this one reads up to {FORMAT_VERSION}: upgrade palate"
        yield Problem(("palate", "format"), "wrong_value", message)
        return
    yield from _check_text_keys(section, ("palate",))
    yield from _check_kinds(section, _PALATE, ("palate",))
    yield from _check_kinds(_mapping(section.get("environment")), _ENVIRONMENT, ("palate", "environment"))


def plain_problems(value: object, where: Where = ()) -> list[Problem]:
    """Return what keeps *value* from being written to MLmodel: other than plain data, text keys and finite numbers."""
    return list(find_unplain(value, where)) or list(_find_unportable(value, where))


def _find_unportable(value: object, where: Where) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield Problem((*where, str(key)), "wrong_type", "every key must be text")
            yield from _find_unportable(inner, (*where, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _find_unportable(inner, (*where, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(where, "wrong_value", "is not a finite number, which JSON cannot hold")


# -- building ----------------------------------------------------------------------------------------------------------


def build_model_file(
    *,
    flavors: Mapping[str, Mapping[str, Any]],
    signature: Signature | None,
    model_uuid: str,
    utc_time_created: datetime,
    model_size_bytes: int,
    run_id: str | None,
    metadata: Mapping[str, Any] | None,
    example_info: Mapping[str, Any] | None,
    palate: Mapping[str, Any],
) -> ModelFile:
    """Return the MLmodel document that MLflow would write for the same facts, with Palate's section added.

    *utc_time_created* counts as UTC when it names no time zone. Facts of columns and signatures of methods,
    which MLflow's grammar has no place for, go to ``palate.inputs`` and ``palate.methods``.

    Raises:
        InvalidSignature: if the facts of a column cannot be stored: categories that are not text, numbers or times,
            facts beside type hints.
        InvalidModelFile: if MLmodel cannot hold a flavor's section, *metadata*, *example_info* or *palate*.
    """
    has_signature = signature is not None and (signature.inputs or signature.outputs or signature.params)
    declared = signature if has_signature else None
    document: dict[str, Any] = {
        "flavors": {name: dict(section) for name, section in flavors.items()},
        "mlflow_version": MLFLOW_FORMAT_VERSION,
        "model_id": None,
        "model_uuid": model_uuid,
        "palate": {"format": FORMAT_VERSION, **palate, **_palate_keys(declared, palate.get("inputs") or {})},
        "prompts": None,
        "utc_time_created": _time_text(utc_time_created),
        # MLflow omits these where it has nothing to say.
        **({"model_size_bytes": model_size_bytes} if model_size_bytes else {}),
        **({"run_id": run_id} if run_id is not None else {}),
        **({"metadata": dict(metadata)} if metadata is not None else {}),
        **({"saved_input_example_info": dict(example_info)} if example_info is not None else {}),
        **_signature_keys(declared),
    }
    if unplain := list(find_unplain(document)):
        raise InvalidModelFile(unplain)
    return ModelFile(document)


def _palate_keys(signature: Signature | None, inputs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what Palate knows of a signature besides; the facts of columns are added to those in *inputs*."""
    if signature is None:
        return {}
    facts = {key: {**inputs.get(key, {}), **fact} for key, fact in column_facts(signature).items()}
    return {
        **({"inputs": {**inputs, **facts}} if facts else {}),
        **({"methods": method_facts(signature)} if signature.methods else {}),
    }


def _signature_keys(signature: Signature | None) -> dict[str, Any]:
    if signature is None:
        return {}
    return {
        "signature": signature.to_dict(),
        "is_signature_from_type_hint": signature.from_type_hints,
        "type_hint_from_example": False,
    }


def _time_text(moment: datetime) -> str:
    utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return utc.isoformat(sep=" ", timespec="microseconds")
