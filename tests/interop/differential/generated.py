"""Random signatures with random inputs, from a seed: columns and params here, tensors in a module of their own."""

from __future__ import annotations

import random
from typing import Any

from differential.generated_params import params_case
from differential.generated_tensors import tensor_case
from differential.pools import DTYPES, FITTING, ITEMS
from differential.schemas import KINDS, array, column, named, obj, unnamed

__all__ = ["generated_cases"]

Case = tuple[str, str, str]
Json = dict[str, Any]


def generated_cases(seed: int, count: int) -> list[Case]:
    """Return *count* cases; the same for the same seed, whatever the count."""
    return [generated_case(random.Random(f"{seed}:{index}")) for index in range(count)]


def generated_case(rng: random.Random) -> Case:
    """Return one case."""
    family = rng.random()
    if family < 0.2:
        return ("inputs", *tensor_case(rng))
    if family < 0.3:
        return ("params", *params_case(rng))
    return ("inputs", *column_case(rng))


# -- signatures of columns ---------------------------------------------------------------------------------------------


def column_case(rng: random.Random) -> tuple[str, str]:
    """Return a signature of one to six columns, and a frame, dict, list, array, series or scalar for it."""
    kinds = [_type(rng) for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 6)))]
    naming = rng.choice(("text", "text", "text", "number", "none"))
    if naming == "none":
        # Where the columns have no names, an input may still have some.
        names: list[Any] = list(range(len(kinds)))
        return unnamed(*kinds), _Input(rng, kinds, names).text()
    names = [f"c{index}" for index in range(len(kinds))] if naming == "text" else list(range(len(kinds)))
    rng.shuffle(names)
    required = [rng.random() > 0.25 for _ in kinds]
    columns = [column(kind, name, required=need) for kind, name, need in zip(kinds, names, required, strict=True)]
    return named(*columns), _Input(rng, kinds, names, optional=not all(required)).text()


def _type(rng: random.Random, depth: int = 0) -> Json:
    pick = rng.random() * (1 if depth < 2 else 0.7)
    if pick < 0.7:
        return {"type": rng.choice(KINDS)}
    if pick < 0.82:
        return array(_type(rng, depth + 1))
    if pick < 0.9:
        members = {name: _type(rng, depth + 1) for name in rng.sample("pqr", rng.choice((1, 2, 3)))}
        return obj(**{name: {**kind, "required": rng.random() < 0.6} for name, kind in members.items()})
    if pick < 0.95:
        return {"type": "map", "values": _type(rng, depth + 1)}
    # Spark's vectors are columns; inside of other types MLflow does not read its own signature.
    return rng.choice(({"type": "any"}, array("any"), {"type": "sparkml_vector"} if depth == 0 else array("double")))


# -- cells -------------------------------------------------------------------------------------------------------------


def _value(rng: random.Random, kind: Json, wild: float) -> str:
    """Return an expression for a value of this type; with probability *wild* of another."""
    name = kind["type"]
    if rng.random() < wild:
        return rng.choice(ITEMS[rng.choice(tuple(ITEMS))])
    if name == "array":
        return _list(rng, [_value(rng, kind["items"], wild) for _ in range(rng.choice((0, 1, 2, 2, 3)))])
    if name == "sparkml_vector":
        return _list(rng, [_value(rng, {"type": "double"}, wild) for _ in range(rng.choice((0, 2)))])
    if name == "map":
        keys = rng.sample(("'k'", "'l'", "''"), rng.choice((0, 1, 2)))
        return "{" + ", ".join(f"{key}: {_value(rng, kind['values'], wild)}" for key in keys) + "}"
    if name == "object":
        members = [(p, k) for p, k in kind["properties"].items() if k.get("required", True) or rng.random() < 0.6]
        return "{" + ", ".join(f"'{p}': {_value(rng, k, wild)}" for p, k in members) + "}"
    if name == "any":
        return rng.choice(ITEMS[rng.choice(tuple(ITEMS))])
    return rng.choice(ITEMS[rng.choice(FITTING[name][0])])


def _list(rng: random.Random, items: list[str]) -> str:
    text = f"[{', '.join(items)}]"
    form = rng.random()
    if form < 0.75:
        return text
    if form < 0.85:
        # By itself numpy refuses ragged lists, and makes of "a" and None an object array.
        return f"np.fromiter({text}, dtype=object, count={len(items)})"
    if form < 0.97 and items:
        dtype = rng.choice(("int64", "int32", "float32", "float64", "bool", "str", "bytes", "datetime64[ns]"))
        pool = {"int": SMALL_NUMBERS, "float": REALS, "bool": ("True", "False"), "str": ("'a'", "'bc'", "'a\\0'")}
        fit = pool.get(dtype.rstrip("0123456789"), ("b'a'",) if dtype == "bytes" else ("'2020-01-01'", "'NaT'"))
        return f"np.array([{', '.join(rng.choice(fit) for _ in items)}], dtype='{dtype}')"
    return f"({', '.join(items)},)" if items else "()"


SMALL_NUMBERS = ("0", "1", "-5", "100")
REALS = ("0.5", "1.0", "0.1", "float('nan')")


def _series(rng: random.Random, kind: Json, rows: int, wild: float) -> str:
    """Return an expression for a pandas column."""
    name = kind["type"]
    if name in FITTING and rng.random() < 0.75:
        dtype = rng.choice(tuple(DTYPES) if rng.random() < wild * 4 else FITTING[name][1])
        items = [rng.choice(DTYPES[dtype]) for _ in range(rows)]
        text = f"pd.Series([{', '.join(items)}], dtype={dtype})"
        return text + (".astype('category')" if rng.random() < wild / 2 else "")
    if name not in FITTING and rng.random() < wild:
        dtype = rng.choice(tuple(DTYPES))
        return f"pd.Series([{', '.join(rng.choice(DTYPES[dtype]) for _ in range(rows))}], dtype={dtype})"
    gap = 0.15 if rng.random() < 0.4 else 0.0
    items = [_gap(rng) if rng.random() < gap else _value(rng, kind, wild / 2) for _ in range(rows)]
    return f"pd.Series([{', '.join(items)}]{'' if rng.random() < 0.15 else ', dtype=object'})"


def _gap(rng: random.Random) -> str:
    return "None" if rng.random() < 0.6 else rng.choice(ITEMS["missing"])


# -- containers --------------------------------------------------------------------------------------------------------


class _Input:
    """One random input for columns of these types and names."""

    def __init__(self, rng: random.Random, kinds: list[Json], names: list[Any], *, optional: bool = False) -> None:
        self.rng, self.kinds, self.names = rng, kinds, names
        self.rows = rng.choice((0, 1, 1, 2, 2, 3))
        self.wild = rng.choice((0.0, 0.0, 0.02, 0.1, 0.3))
        self.labels = list(names)
        if rng.random() < (0.3 if optional else 0.04) and len(names) > 1:
            self.labels.pop(rng.randrange(len(self.labels)))
        self.kind_of = dict(zip(names, kinds, strict=True))
        if rng.random() < 0.15:
            self.labels.append(rng.choice(("extra", 9, "0", 2.5, True)))
            self.kind_of[self.labels[-1]] = {"type": "double"}
        if rng.random() < 0.3 and names != list(range(len(names))):
            rng.shuffle(self.labels)

    def text(self) -> str:
        """Return the expression."""
        forms = ("frame", "frame", "frame", "frame", "dict of lists", "dict of columns", "row", "records", "lists")
        form = self.rng.choice((*forms, "single", "array"))
        return getattr(self, "_" + form.replace(" ", "_"))()

    def _values(self, label: Any, count: int) -> list[str]:
        gap = 0.1 if self.rng.random() < 0.3 else 0.0
        kind = self.kind_of[label]
        return [
            _gap(self.rng) if self.rng.random() < gap else _value(self.rng, kind, self.wild / 2) for _ in range(count)
        ]

    def _frame(self) -> str:
        cells = [f"{label!r}: {_series(self.rng, self.kind_of[label], self.rows, self.wild)}" for label in self.labels]
        frame = f"pd.DataFrame({{{', '.join(cells)}}})"
        odd = self.rng.random()
        if odd < 0.15:
            index = self.rng.choice((f"[5] * {self.rows}", f"list('xyz'[:{self.rows}])", f"range(3, {self.rows + 3})"))
            return f"{frame}.set_axis({index}, axis=0)"
        if odd < 0.18:
            return f"{frame}.set_axis(pd.MultiIndex.from_product([[0], range({self.rows})]), axis=0)"
        if odd < 0.22:
            return f"(lambda f: pd.concat([f, f.iloc[:, :1]], axis=1))({frame})"
        if odd < 0.26 and len(self.labels) > 1:
            return f"{frame}[{self.rng.sample(self.labels, len(self.labels))!r}].iloc[::-1]"
        return frame

    def _dict_of_lists(self) -> str:
        cells = [f"{label!r}: [{', '.join(self._values(label, self.rows))}]" for label in self.labels]
        return f"{{{', '.join(cells)}}}"

    def _dict_of_columns(self) -> str:
        cells = []
        for label in self.labels:
            column = _series(self.rng, self.kind_of[label], self.rows, self.wild)
            cells.append(f"{label!r}: {column}{'.to_numpy()' if self.rng.random() < 0.5 else ''}")
        return f"{{{', '.join(cells)}}}"

    def _row(self) -> str:
        return f"{{{', '.join(f'{label!r}: {self._values(label, 1)[0]}' for label in self.labels)}}}"

    def _records(self) -> str:
        return f"[{', '.join(self._row() for _ in range(self.rows))}]"

    def _lists(self) -> str:
        form = "({})" if self.rng.random() < 0.2 else "[{}]"
        rows = [
            form.format(", ".join(self._values(label, 1)[0] for label in self.labels) + ",") for _ in range(self.rows)
        ]
        return f"[{', '.join(rows)}]"

    def _single(self) -> str:
        label, rng = self.labels[0], self.rng
        form = rng.random()
        if form < 0.3:
            name = "" if rng.random() < 0.2 else f".rename({label!r})"
            return _series(rng, self.kind_of[label], self.rows, self.wild) + name
        if form < 0.6:
            return f"[{', '.join(self._values(label, self.rows))}]"
        if form < 0.7:
            return _series(rng, self.kind_of[label], self.rows, self.wild) + ".to_numpy()"
        return self._values(label, 1)[0]

    def _array(self) -> str:
        dtype = self.rng.choice(("float64", "float32", "int64", "int32", "bool", "object", "str"))
        shape = (self.rows, len(self.labels)) if self.rng.random() < 0.9 else (self.rows, len(self.labels), 1)
        return f"np.ones({shape}, dtype='{dtype}')"
