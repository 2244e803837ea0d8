"""The contest as data: results.json and results.csv."""

import csv
import io
import json
import math

import minigrad
from demos.comparison.keeping import FOLDER
from minigrad import backend
from minigrad.backend import xp

SCHEMA = 1
PICTURES = ("accuracy", "bayes", "boundaries", "confusion", "curves", "data", "summary")
PROTOCOLS = "protocols"  # the picture of their differences
ANIMATION = "training.gif"
PAGE = "report.html"


def collect(rankings, task, recipe, protocol, *, failed, interrupted):
    """The whole contest as numbers, lists and dicts.

    rankings: {protocol: [Standing]}. failed: {name: what went wrong}.
    """
    train, test = task.y_train.shape[-1], task.y_test.shape[-1]
    return {
        "schema": SCHEMA,
        "minigrad": minigrad.__version__,
        "device": backend.device(),
        "array_module": xp.__name__,
        "dtype": str(task.x_train.dtype),
        "protocol": protocol,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "reshuffle": recipe.reshuffle,
        "seeds": list(recipe.seeds),
        "data": {
            "name": task.name,
            "train": train,
            "test": test,
            "classes": len(task.class_names),
            "features": len(task.feature_names),
            "batches": -(-train // recipe.batch_size),
            "notes": list(task.notes),
        },
        "bayes_accuracy": task.bayes_accuracy,
        "baselines": task.baselines,
        "interrupted": interrupted,
        "failed": failed,
        "results": [result(standing) for standings in rankings.values() for standing in standings],
    }


def result(standing):
    """One line of a ranking."""
    outcome = standing.outcome
    return {
        "rank": standing.place,
        "tied_with_above": standing.tied,
        "name": outcome.name,
        "label": outcome.label,
        "family": outcome.family,
        "protocol": outcome.protocol,
        "accuracy": outcome.accuracy,
        "accuracy_mean": standing.accuracy.mean,
        "accuracy_ci95": standing.accuracy.half_width,
        "train_seconds": outcome.train_seconds,
        "parameters": outcome.parameters,
        "final_loss": finite(outcome.loss_history[:, -1].tolist()),
        "loss_history": [finite(losses) for losses in outcome.loss_history.tolist()],
        "extra": outcome.extra,
    }


def finite(values):
    """JSON knows neither NaN nor infinity: a loss that diverged becomes null."""
    return [value if math.isfinite(value) else None for value in values]


def file_names(options):
    """The files and folders that a run with these options may write."""
    both = ("shared", "native", f"{PROTOCOLS}.{options.format}") * (options.protocol == "both")
    pictures = [f"{name}.{options.format}" for name in PICTURES]
    drawn = () if options.no_plots else (*pictures, ANIMATION, PAGE, *both)
    kept = (FOLDER,) if options.save else ()
    return ("results.json", "results.csv", *drawn, *kept)


def publish(results, output):
    """Write both files beside the pictures, and let all be seen; return the folder where."""
    write_json(output.folder / "results.json", results)
    write_csv(output.folder / "results.csv", results)
    return output.publish(complete=not results["interrupted"] and not results["failed"])


def write_json(path, results):
    path.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path, results):
    """The scalars of each result, one result a line."""
    rows = [
        {key: value for key, value in line.items() if not isinstance(value, list | dict)}
        for line in results["results"]
    ]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
