"""``palate evaluate``: what a model is worth, or which of two is better, and whether a gate lets it pass."""

from __future__ import annotations

from typing import Any, get_args

import click

from palate.cli._ending import ending_orderly
from palate.cli._evaluate_output import echo_broken, echo_comparison, echo_evaluation, echo_gate
from palate.cli._evaluate_settings import Subjects, find_subjects, gate_of, load_metric, settings_of
from palate.cli._output import echo_json, json_option, model_speaks_aside, trust_option
from palate.datasets import STREAMED_FORMATS
from palate.errors import InvalidOption
from palate.evaluation import (
    Comparison,
    Evaluation,
    Gate,
    GateResult,
    Task,
    compare_models,
    evaluate_model,
    run_gate,
    write_report,
)

__all__ = ["command"]


@click.command("evaluate")
@click.argument("arguments", nargs=-1, metavar="URI [URI_B] DATA")
@click.option("--target", multiple=True, metavar="COLUMN", help="What is true; several for several labels or numbers.")
@click.option("--task", type=click.Choice(get_args(Task)), help="By default target and model tell.")
@click.option("--positive", metavar="CLASS", help="Of two classes, the one that is looked for.")
@click.option("--by", multiple=True, metavar="COLUMN", help="Divide the rows by it, too, and measure each part.")
@click.option("--weights", metavar="COLUMN", help="How much each row counts.")
@click.option("--method", help="The method to call, instead of predict and what gives scores.")
@click.option("--metric", "metrics", multiple=True, metavar="FILE.py:FUNCTION", help="A metric of your own; it is run.")
@click.option("--confidence", type=float, help="Of the intervals.  [default: 0.95]")
@click.option("--resamples", type=int, help="Bootstrap samples; 0 for no intervals.  [default: 1000]")
@click.option("--seed", type=int, help="Of the bootstrap.  [default: 0]")
@click.option(
    "--latency/--no-latency",
    default=None,
    help="Whether predictions are timed; by default yes, and with a gate if a rule asks.",
)
@click.option("--importance", is_flag=True, help="Shuffle each input, to see how much it matters.")
@click.option(
    "--format", "format_", type=click.Choice(sorted(STREAMED_FORMATS)), help="Of DATA, if its name does not tell."
)
@click.option("--delimiter", help="Between the cells of csv: one character, or 'tab'.")
@click.option("--report", metavar="FILE.html", help="Write a report with pictures: one file that needs nothing else.")
@click.option("--gate", "gate_file", metavar="GATE.yaml", help="Rules to keep, and how to evaluate for them.")
@click.option("--require", "rules", multiple=True, metavar="RULE", help="A rule to keep, such as 'accuracy >= 0.9'.")
@click.option("--baseline", metavar="URI", help="The model to compare with; the same as naming it first.")
@click.option("--allow-missing-baseline", is_flag=True, help="Skip rules about a baseline that does not exist yet.")
@click.option("--isolate", is_flag=True, help="Run the models in processes of their own.")
@trust_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    arguments: tuple[str, ...],
    metrics: tuple[str, ...],
    latency: bool | None,
    importance: bool,
    report: str | None,
    gate_file: str | None,
    rules: tuple[str, ...],
    baseline: str | None,
    allow_missing_baseline: bool,
    isolate: bool,
    trust: bool,
    as_json: bool,
    format_: str | None,
    **options: Any,
) -> None:
    """Measure what a model is worth, compare two, and let a gate say which may pass.

    DATA are rows of which it is known what is true: a file, a pattern, a folder or an address; parquet, Arrow, csv,
    jsonl or npy. With two models, differences are those from the first to the second. A gate may name rows and options
    instead.

    Exits with 1 when a rule of --gate or --require is not kept. Rules: accuracy >= 0.9; accuracy >= 0.88 with 95%
    confidence; f1 >= baseline - 0.01 with 95% confidence; rmse <= 1.05 * baseline; p99 latency <= 5 ms;
    recall >= 0.8 for each region of at least 50 rows.
    """
    settings = settings_of({**options, "format": format_})
    gate = gate_of(gate_file, rules, settings)
    subjects = find_subjects(arguments, baseline, gate)
    own = {
        "metrics": [load_metric(text) for text in metrics],
        "importance": importance,
        "trust": trust,
        "isolate": isolate,
    }
    judged: GateResult | None = None
    with ending_orderly(), model_speaks_aside():
        if gate is None:
            result = _evaluate(subjects, settings, {**own, "latency": latency is not False})
        else:
            judged = _judge(
                gate, subjects, {**own, "latency": latency, "allow_missing_baseline": allow_missing_baseline}
            )
            result = judged.result
    if report is not None:
        write_report(result, report, gate=judged)
    if as_json:
        echo_json(result.to_dict() if judged is None else {**result.to_dict(), "gate": judged.to_dict()})
    else:
        _echo(result, judged)
    if judged is not None and not judged.passed:
        echo_broken(judged)
        ctx.exit(1)


def _judge(gate: Gate, subjects: Subjects, own: dict[str, Any]) -> GateResult:
    return run_gate(gate, subjects.uri, baseline_uri=subjects.baseline, data=subjects.data, **own)


def _evaluate(subjects: Subjects, settings: dict[str, Any], own: dict[str, Any]) -> Evaluation | Comparison:
    """Evaluate without a gate."""
    if subjects.data is None:
        raise InvalidOption("DATA", reason="it is missing", hint="give URI and DATA, or a gate that names the data")
    if not settings.get("target"):
        raise InvalidOption("--target", reason="it is missing", hint="name the column with what is true")
    target = settings.pop("target")
    options = {**settings, **own, "target": target[0] if len(target) == 1 else list(target)}
    if subjects.baseline is None:
        return evaluate_model(subjects.uri, subjects.data, **options)
    return compare_models(subjects.baseline, subjects.uri, subjects.data, **options)


def _echo(result: Evaluation | Comparison, judged: GateResult | None) -> None:
    if isinstance(result, Comparison):
        echo_comparison(result)
    else:
        echo_evaluation(result)
    if judged is not None:
        echo_gate(judged)
