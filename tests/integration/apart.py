"""Ten models whose own modules have the same names, in thirty-two threads. argv: an empty folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from zoo import Call, answer, calls, save_coded

from palate.testing._threads import at_once

FOLDER, COUNT = Path(sys.argv[1]), 10


def total(number: int, call: Call) -> list[float]:
    """Return what model *number* predicts: ten times its number for the sum of each row, and one."""
    return [sum(row) * number * 10 + 1 for row in call.data.loc[:, list("abcd")].to_numpy().tolist()]


def main() -> None:
    """Save them, load each in several threads, and let all threads ask all of them for the first time at once."""
    for number in range(COUNT):
        save_coded(FOLDER / f"m{number}", word=f"m{number}", factor=number * 10.0)
    call = calls("coded")[0]

    def open_one(number: int) -> Any:
        import palate

        return palate.load_model(FOLDER / f"m{number % COUNT}", trust=True)

    models = at_once(open_one)
    assert [model.native.model.word for model in models] == [f"m{number % COUNT}" for number in range(len(models))]

    def ask_all(number: int) -> list[list[float]]:
        turned = [(number + step) % COUNT for step in range(COUNT)]
        found = {which: answer(models[which], call).tolist() for which in turned}
        return [found[which] for which in range(COUNT)]

    wanted = [total(which, call) for which in range(COUNT)]
    answers = at_once(ask_all)
    assert answers == [wanted] * len(answers)
    assert not [name for name in sys.modules if name.split(".")[0] in ("shop", "model")]
    print(sum(map(len, answers)))


if __name__ == "__main__":
    main()
