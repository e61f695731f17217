"""A model that looks at each row by itself, in ways that a param tells. Saved as a file of code."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import palate


class Rows(palate.PythonModel):
    """Doubles x, and minds minus one."""

    rows_are_independent = True

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Do what the mode says."""
        x = model_input["x"].to_numpy()
        match (params or {}).get("mode", "double"):
            case "few":
                return x[:-1]
            case "die":
                if (x == -1).any():
                    os.kill(os.getpid(), signal.SIGKILL)
                return x * 2
            case "slow":
                time.sleep(0.05)
                return x * 2
            case "texts":
                return [f'é"{value}",\n' for value in x]
            case "lists":
                return [[value, -value] for value in x]
            case "records":
                return [{"twice": value * 2, "text": str(value)} for value in x]
            case "dates":
                return (x * 86_400).astype("M8[s]").astype("M8[us]")
            case "ints then floats":
                return x.astype("int64") if x[0] < 100 else x + 0.5
            case "huge ints then floats":
                return x.astype("int64") + 2**60 + 1 if x[0] < 100 else x + 0.5
            case "ints then texts":
                return x.astype("int64") if x[0] < 100 else list(map(str, x))
            case "missing":
                return [None if value % 2 else value for value in x]
            case "stream":
                return (value for value in [[1], [2]])
        if (x == -1).any():
            raise ValueError("minus one\nand a page of advice")
        return x * 2


palate.set_model(Rows())
