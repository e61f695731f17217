"""What a served prediction costs: Palate, stock MLflow, MLServer and a server written by hand, side by side.

Run: python benchmarks/serving.py [--mlflow PYTHON] [--mlserver PYTHON] [--quick] [--parts PART ...] [--soak MINUTES].
`make .venv-mlflow .venv-peers` makes the environments of the other two; wrk sends the load (apt-get install wrk).

Every server of a model runs at once on one core, and wrk on another; they take turns, round by round, so that a busy
machine slows all alike. Before anything is timed each server's answers are compared with the model's own predictions.
One thread each for numpy and XGBoost. "split" is MLflow's dataframe_split for a signature of 30 named double columns,
"inputs" the same rows for a signature of one tensor. The floor is given the very bodies that Palate is given.

Parts: ``load`` is that; ``footprint`` the time until ready and the memory, beside the framework alone; ``overload``
what becomes of ten times as many requests as can be answered. --soak asks for minutes on end, with faults.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from _serving_bodies import Body, make_body, read_answer
from _serving_cases import BULK, CASES, Case, Key, figures, goals
from _serving_footprint import footprint
from _serving_load import Sample, middle, run_wrk
from _serving_models import KINDS, Served, prepare, rows_of
from _serving_overload import overload
from _serving_processes import Environments, Running, Server, answer_of, require_tools, servers_of, start
from _serving_soak import soak
from _tables import Table, write_page

PARTS = ("load", "footprint", "overload")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, for how long and where."""

    cases: Sequence[Case]
    words: Sequence[str]
    rounds: int
    seconds: float
    server_core: int
    client_core: int
    folder: Path

    @property
    def cores(self) -> tuple[int, int]:
        """The servers' core and the client's."""
        return self.server_core, self.client_core

    def wants(self, name: str) -> bool:
        """Whether a server of that name takes part."""
        return not self.words or any(word in name for word in self.words)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One line of the table: a body that is sent to a server."""

    key: Key
    running: Running
    body: Body
    case: Case

    def sample(self, plan: Plan, seconds: float) -> Sample:
        """Measure it once, for so long at least."""
        return run_wrk(
            self.running,
            self.body,
            connections=self.case.connections,
            seconds=max(seconds, self.case.least),
            core=plan.client_core,
            folder=plan.folder,
        )


def measure(served: Served, servers: Mapping[str, Server], plan: Plan) -> dict[Key, Sample]:
    """Start all servers of a model and measure all cases."""
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(start(server, plan.server_core, plan.folder)) for name, server in servers.items()
        }
        results: dict[Key, Sample] = {}
        for case in plan.cases:
            tasks = list(_tasks(case, running))
            for task in tasks:
                _require_right(task, served, case.rows)
            results.update(_in_turn(tasks, plan))
    return results


def _tasks(case: Case, running: Mapping[str, Running]) -> Iterator[Task]:
    rows = rows_of(case.rows)
    for name, process in running.items():
        body = make_body(process.server.form, rows)
        yield Task(key=(name, case.name), running=process, body=body, case=case)
    if case == CASES[-1]:
        for form, name in BULK.items():
            if name in running:
                body = make_body(form, rows)
                yield Task(key=(form, case.name), running=running[name], body=body, case=case)


def _require_right(task: Task, served: Served, rows: int) -> None:
    """Raise SystemExit unless the answer has the model's own predictions, to the last bit."""
    status, headers, content = answer_of(task.running.port, task.body)
    if status != 200:
        raise SystemExit(f"{task.key}: {status} {content[:2000]!r}")
    if read_answer(content, headers) != served.predict(rows_of(rows)).tolist():
        raise SystemExit(f"{task.key}: the predictions are not the model's")


def _in_turn(tasks: Sequence[Task], plan: Plan) -> dict[Key, Sample]:
    """Measure every task once a round, every other round backwards, after one that warms up."""
    samples: dict[Key, list[Sample]] = {task.key: [] for task in tasks}
    for task in tasks:
        task.sample(plan, 0)
    for number in range(plan.rounds):
        for task in reversed(tasks) if number % 2 else tasks:
            samples[task.key].append(task.sample(plan, plan.seconds))
            print(f"  {' '.join(task.key)}: {samples[task.key][-1].rate:,.0f}/s", file=sys.stderr, flush=True)
    return {key: middle(values) for key, values in samples.items()}


# -- all of it ---------------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace, plan: Plan, document: dict[str, object]) -> Iterator[Table]:
    """Yield one table after the other; figures go into *document* too."""
    # Relative to where this was started, and not resolved: the link is what makes it an environment's.
    python = Environments(
        palate=os.path.abspath(options.palate),
        mlflow=os.path.abspath(options.mlflow) if options.mlflow else None,
        mlserver=os.path.abspath(options.mlserver) if options.mlserver else None,
    )
    ours = options.palate_options.split()
    for kind, served in prepare(plan.folder, KINDS[:1] if options.quick else options.models).items():
        everyone = servers_of(served, python, ours, plan.folder)
        servers = {name: server for name, server in everyone.items() if plan.wants(name)}
        if "load" in options.parts:
            results = measure(served, servers, plan)
            document[kind] = [{"name": " ".join(key), **dataclasses.asdict(sample)} for key, sample in results.items()]
            yield figures(kind, results)
            yield goals(kind, results)
        if "footprint" in options.parts:
            alone = {name: server for name, server in servers.items() if not name.endswith("inputs")}
            yield footprint(served, alone, python.palate, plan.rounds, plan.cores, plan.folder)
        if options.soak:
            for name in ("palate split", "palate inputs"):
                with start(everyone[name], plan.server_core, plan.folder) as running:
                    yield soak(running, served, options.soak, columns=name == "palate split").table(f"{kind}, {name}")
    if "overload" in options.parts:
        yield overload(python.palate, ours, plan.seconds, plan.cores, plan.folder)


def describe() -> str:
    """Return when and on what this ran."""
    names = ("palate", "uvicorn", "uvloop", "httptools", "orjson", "numpy", "scikit-learn", "xgboost")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    day = datetime.datetime.now(datetime.UTC).date()
    machine = f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}"
    return f"Measured on {day}, {machine}. Python {platform.python_version()}, {versions}."


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--palate", metavar="PYTHON", default=sys.executable, help="an interpreter with Palate as users install it"
    )
    parser.add_argument("--mlflow", metavar="PYTHON", help="an interpreter with stock MLflow")
    parser.add_argument("--mlserver", metavar="PYTHON", help="an interpreter with MLServer")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="mixed load with faults, for so long")
    parser.add_argument("--models", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--cases", nargs="*", choices=[case.name for case in CASES], help="connections x rows")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="servers with one of these in their name")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of each server in each round")
    parser.add_argument("--quick", action="store_true", help="one second each, one model")
    parser.add_argument("--palate-options", default="", metavar="OPTIONS", help="added to palate serve")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables into this page")
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    options = _parse()
    require_tools()
    document: dict[str, object] = {"described": describe()}
    print(document["described"], end="\n\n", flush=True)
    tables = []
    with tempfile.TemporaryDirectory() as directory:
        plan = Plan(
            cases=[case for case in CASES if not options.cases or case.name in options.cases],
            words=options.only,
            rounds=options.rounds,
            seconds=1 if options.quick else options.seconds,
            server_core=options.server_core,
            client_core=options.client_core,
            folder=Path(directory),
        )
        for table in run(options, plan, document):
            print(table.text(), end="\n\n", flush=True)
            tables.append(table)
    document["tables"] = [dataclasses.asdict(table) for table in tables]
    if options.json:
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False))
    if options.markdown:
        write_page(options.markdown, "benchmarks/serving.py", [describe(), *(table.markdown() for table in tables)])


if __name__ == "__main__":
    main()
