"""LightGBM's text format, read strictly before LightGBM reads it.

LightGBM's reader is native code that believes its input: it walks to the next ``=`` wherever that is, and uses every
number of a tree as an index. So the whole file is held against what ``GBDT::SaveModelToString`` writes, and the numbers
against each other (include/LightGBM/tree.h and src/boosting/gbdt_model_text.cpp of LightGBM say which are used how).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from palate.hookspecs import parse_json
from palate_lightgbm._tree_text import Malformed, check_tree, natural, require

__all__ = ["TextFacts", "check_model_text"]

_REQUIRED = {"version", "num_class", "label_index", "max_feature_idx", "feature_names", "feature_infos", "tree_sizes"}
_OPTIONAL = {"num_tree_per_iteration", "objective", "average_output", "monotone_constraints"}
_POSITIVE = r"(?P<sigmoid>[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-][0-9]{1,3})?)"
_OBJECTIVES = re.compile(
    r"(?:regression|regression_l1|quantile|huber|fair|poisson|mape|gamma|tweedie)(?: sqrt)?"
    r"|lambdarank|rank_xendcg|cross_entropy|cross_entropy_lambda|custom"
    rf"|binary sigmoid:{_POSITIVE}"
)
_MULTICLASS = re.compile(
    rf"multiclass num_class:(?P<classes>[0-9]+)|multiclassova num_class:([0-9]+) sigmoid:{_POSITIVE}"
)
_BOUND = rb"(?:-?inf|[-0-9.e+]{1,40})"  # LightGBM only shows these
_SEEN = rb"none|\[%b:%b\]|-?[0-9]{1,10}(?::-?[0-9]{1,10})*+" % (_BOUND, _BOUND)
_SEEN_VALUES = re.compile(rb"(?:%b)(?: (?:%b))*+" % (_SEEN, _SEEN))
_IMPORTANCE = re.compile(rb"[^\n]+=[0-9]{1,20}")
_PARAMETER = re.compile(rb"\[[a-z0-9_]+: [^\x00-\x1f]*\]")
_CONTROL = bytes(set(range(32)) - {ord("\n")})


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFacts:
    """What a checked file says of its model: names of features, outputs of one row, rounds of boosting."""

    features: tuple[str, ...]
    outputs: int
    rounds: int


def check_model_text(data: bytes) -> TextFacts:
    """Return what the text of a model says of it. Raises Malformed with the rule that the text breaks."""
    require(len(data.translate(None, _CONTROL)) == len(data), "it must hold no control characters but line feeds")
    head, blank, rest = data.partition(b"\n\n")
    require(bool(blank), "its header must end with an empty line")
    header = _read_header(head)
    facts = _check_header(header)
    sizes = [natural(size, "tree_sizes") for size in header["tree_sizes"].split(b" ")]
    total = sum(sizes)
    require(total <= len(rest), "its trees must be as long as tree_sizes says")
    start = 0
    for index, size in enumerate(sizes):
        check_tree(rest[start : start + size], index, features=len(facts.features))
        start += size
    _check_tail(rest[total:], facts)
    return facts


def _read_header(head: bytes) -> dict[str, bytes]:
    lines = head.split(b"\n")
    require(lines[0] == b"tree", "its first line must be 'tree'")
    header: dict[str, bytes] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b"=")
        key = name.decode("ascii", "replace")
        require(key in _REQUIRED | _OPTIONAL, "its header must hold LightGBM's own keys only")
        require(key not in header, f"{key} must stand in its header once")
        header[key] = value
    missing = sorted(_REQUIRED - header.keys())
    require(not missing, f"its header must have {', '.join(missing)}")
    return header


def _check_header(header: Mapping[str, bytes]) -> TextFacts:
    """Hold the header's numbers against each other, and return the facts in it."""
    require(header["version"] in (b"v3", b"v4"), "its version must be v3 or v4")
    count = natural(header["max_feature_idx"], "max_feature_idx") + 1
    natural(header["label_index"], "label_index")
    require(header.get("average_output", b"") == b"", "average_output must have no value")
    names = _read_names(header["feature_names"])
    # LightGBM skips empty names when it counts them.
    require(len(names) == count and all(names), "feature_names must be as many as max_feature_idx says")
    require(len(set(names)) == count, "feature_names must differ")
    seen = header["feature_infos"]
    fit = _SEEN_VALUES.fullmatch(seen) is not None and seen.count(b" ") == count - 1
    require(fit, "feature_infos must be what was seen of each feature")
    if "monotone_constraints" in header:
        constraints = header["monotone_constraints"].split(b" ")
        fit = len(constraints) == count and set(constraints) <= {b"-1", b"0", b"1"}
        require(fit, "monotone_constraints must be -1, 0 or 1 for each feature")
    trees = len(header["tree_sizes"].split(b" ")) if header["tree_sizes"] else 0
    outputs = natural(header["num_class"], "num_class")
    per_round = natural(header.get("num_tree_per_iteration", header["num_class"]), "num_tree_per_iteration")
    require(outputs == per_round > 0, "num_tree_per_iteration must be num_class")
    require(trees > 0 and trees % outputs == 0, "it must hold trees, as many for each class")
    _check_objective(header.get("objective"), outputs)
    return TextFacts(features=names, outputs=outputs, rounds=trees // outputs)


def _read_names(names: bytes) -> tuple[str, ...]:
    try:
        return tuple(names.decode("utf-8").split(" "))
    except UnicodeDecodeError as exc:
        raise Malformed("feature_names must be UTF-8") from exc


def _check_objective(objective: bytes | None, outputs: int) -> None:
    """Refuse an objective that would turn more outputs into predictions than there are."""
    if objective is None:  # a function, or none: scores are predictions
        return
    text = objective.decode("ascii", "replace")
    if found := _MULTICLASS.fullmatch(text):
        classes = found.group("classes") or found.group(2)
        require(natural(classes.encode(), "num_class") == outputs, "the objective's num_class must be num_class")
    else:
        found = _OBJECTIVES.fullmatch(text)
        require(found is not None, "its objective must be one of LightGBM's")
        require(outputs == 1 or text == "custom", "only multiclass objectives may have several outputs")
    sigmoid = found.group("sigmoid") if found else None
    fit = sigmoid is None or sys.float_info.min <= float(sigmoid) <= sys.float_info.max
    require(fit, "the objective's sigmoid must be a positive number")


def _check_tail(tail: bytes, facts: TextFacts) -> None:
    """Check what stands behind the trees: importances, parameters of training, categories of pandas."""
    require(tail.endswith(b"\n"), "it must end with a line feed")
    sections = tail[:-1].split(b"\n\n")
    require(sections.pop(0) == b"end of trees", "its trees must be followed by 'end of trees'")
    if sections and sections[-1].startswith(b"pandas_categorical:"):
        _check_categories(sections.pop())
    importances, *rest = sections or [b""]
    lines = _read_section(importances, "feature_importances")
    require(len(lines) <= len(facts.features), "feature_importances must be no more than the features")
    _require_lines(_IMPORTANCE.fullmatch, lines, "feature_importances must be lines of name=number")
    if rest:
        lines = _read_section(rest[0], "parameters")
        _require_lines(_PARAMETER.fullmatch, lines, "parameters must be lines of [name: value]")
        require(rest[1:] == [b"end of parameters"], "its parameters must be followed by 'end of parameters' only")


def _read_section(section: bytes, title: str) -> list[bytes]:
    first, *lines = section.rstrip(b"\n").split(b"\n")
    require(first == title.encode() + b":", f"behind its trees {title} must stand in their place")
    return lines


def _require_lines(matches: Callable[[bytes], object], lines: list[bytes], rule: str) -> None:
    require(all(matches(line) for line in lines), rule)


def _check_categories(line: bytes) -> None:
    """Check the last line, which Python reads: JSON lists of the categories of each such column."""
    rule = "pandas_categorical must be null, or lists of different texts, numbers and truth values"
    require(b"\n" not in line, "pandas_categorical must be its last line")
    try:
        columns = parse_json(line.removeprefix(b"pandas_categorical:"), max_bytes=len(line))
    except ValueError as exc:
        raise Malformed(rule) from exc
    require(columns is None or isinstance(columns, list), rule)
    for column in columns or ():
        fit = isinstance(column, list) and all(isinstance(value, str | int | float) for value in column)
        require(fit and len(set(column)) == len(column), rule)
