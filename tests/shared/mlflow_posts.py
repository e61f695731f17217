"""Sends bodies to stock MLflow's own server, and asks ours with MLflow's client; runs where Palate is not installed.

``python mlflow_posts.py host port`` names a server of ours. stdin is ``{directory: [[content type, body], …]}`` with
bodies in latin-1, stdout the statuses and bodies in the same form, and what the client understood.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import pandas as pd
from asgi_posts import post_all
from mlflow.pyfunc import load_model, scoring_server
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def post(folder: str, posts: list[tuple[str | None, str]]) -> list[tuple[int, str]]:
    """Return MLflow's answers to bodies for one model."""
    app = scoring_server.init(load_model(folder))
    answers = post_all(app, [(kind, body.encode("latin-1")) for kind, body in posts])
    return [(status, body.decode("latin-1")) for status, body in answers]


def ask(host: str, port: str) -> dict[str, Any]:
    """Return what MLflow's client understands of our answers."""
    client = ScoringServerClient(host, int(port))
    client.ping()
    client.wait_server_ready(timeout=5)
    frame = pd.DataFrame({"a": [1.5, -2.0], "b": [0.25, 3.0], "c": [1e-9, 4.0]})
    found = {
        "version": client.get_version(),
        "frame": client.invoke(frame).get_predictions().to_dict("list"),
        "records": client.invoke(frame.to_dict("records")).get_predictions("ndarray").tolist(),
    }
    try:
        client.invoke(frame[["a"]])
    except Exception as exc:
        found["refused"] = str(exc)
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answered = {folder: post(folder, posts) for folder, posts in json.load(sys.stdin).items()}
    print(json.dumps({"posts": answered, "client": ask(*sys.argv[1:])}))
