"""report.html: one self-contained file, which asks nobody for anything.

The page carries its numbers with it: as JSON, and the maps as compressed bytes. Its policy
(Content-Security-Policy) lets the browser run this one script and no other, and load nothing.
"""

import base64
import hashlib
import html
import json
import zlib
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.colors import to_hex

import minigrad
from demos.comparison.results import finite
from demos.comparison.table import footnotes
from demos.comparison.takeaways import takeaways
from demos.comparison.training import GRID
from demos.pictures.boundaries import bayes_probabilities, here_and_all
from demos.pictures.palette import class_colours, colour, marker, member

FOLDER = Path(__file__).parent
MOST_POINTS = 400  # of a map's test points are shown


def page(rankings, task, recipe, command):
    """The text of the page.

    rankings: {protocol: [Standing]}. command: the command line that makes the same page again.
    """
    style, script = (
        (FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    return Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(f"minigrad: {task.name}"),
        style=style,
        script=script,
        style_hash=fingerprint(style),
        script_hash=fingerprint(script),
        data=json_for_html(contents(rankings, task, recipe, command)),
    )


def fingerprint(text):
    """By which the policy knows the text between two tags."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def json_for_html(value):
    """JSON in which no character means anything to a parser of HTML, whatever the names hold."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def contents(rankings, task, recipe, command):
    """All that the page knows, as numbers, strings, lists and dicts."""
    outcomes = [one.outcome for standings in rankings.values() for one in standings]
    n = len(task.class_names)
    has_maps = outcomes[0].grid is not None
    return {
        "task": task.name,
        "features": task.feature_names,
        "extent": task.extent,
        "classes": [
            {"name": name, "colour": to_hex(shade), "marker": marker(c)}
            for c, (name, shade) in enumerate(zip(task.class_names, class_colours(n)))
        ],
        "ceiling": task.bayes_accuracy,
        "bayes": pack([bayes_probabilities(task, GRID)]) if has_maps and task.posterior else None,
        "frames": list(outcomes[0].frames),  # their epochs
        # Whoever trains the same under both protocols has one map.
        "maps": {key(one): pack(one.frames.values()) for one in outcomes if one.frames},
        "epochs": recipe.epochs,
        "watched": len(outcomes[0].accuracy_history),
        "replicas": len(recipe.seeds),
        "protocols": {
            protocol: {
                "standings": [standing(one, task) for one in standings],
                "notes": list(footnotes(standings, task)),
                "takeaways": takeaways(standings, task),
            }
            for protocol, standings in rankings.items()
        },
        "recipe": recipe_in_words(task, recipe),
        "command": command,
    }


def standing(one, task):
    """One line of a ranking, its curves, its confusion and its map."""
    outcome = one.outcome
    return {
        "place": one.place,
        "ties": one.ties,
        "label": outcome.label,
        "family": outcome.family,
        "colour": to_hex(colour(outcome)),
        "member": member(outcome),
        "mean": one.accuracy.mean,
        "half_width": one.accuracy.half_width,
        "says": f"{one.accuracy} %",
        "to_ceiling": one.to_ceiling,
        "accuracies": outcome.accuracy,
        "seconds": outcome.train_seconds,
        "parameters": outcome.parameters,
        "loss": rounded(outcome.loss_history.mean(axis=0)),
        "accuracy": rounded(outcome.accuracy_history.mean(axis=0)),
        "confusion": outcome.confusion.tolist(),
        "shown": outcome.shown,
        "here": here_and_all(one),
        "points": points(outcome, task) if outcome.frames else [],
        "map": key(outcome),
    }


def key(outcome):
    """By which a map is known: its architecture, and the protocol if that makes a difference."""
    return f"{outcome.name} {outcome.protocol if outcome.has_own_objective else ''}".strip()


def rounded(values):
    """To five significant digits: more than a chart shows."""
    return finite(float(f"{value:.5g}") for value in values.tolist())


def points(outcome, task):
    """The test points of the replica shown: [x, y, true class, predicted class]."""
    x, y = task.x_test[outcome.shown], task.y_test[outcome.shown]
    guesses = outcome.predictions[outcome.shown]
    return [
        [float(f"{a:.4g}"), float(f"{b:.4g}"), int(true), int(guess)]
        for (a, b), true, guess in zip(x[:MOST_POINTS], y, guesses)
    ]


def pack(frames):
    """Class probabilities [(n, n, C)] in thousandths, compressed: {"sizes": [n], "bytes": base64}.

    Each frame is C planes. In a plane stands how much each number is more than its left neighbour;
    in the last class's plane stands, instead of its probabilities, what all classes of a point
    lack to 1000: almost always 0. All low bytes come first, then all high bytes.
    """
    planes = []
    for frame in frames:
        thousandths = np.rint(1000 * np.nan_to_num(frame)).astype("<i2").transpose(2, 0, 1)
        thousandths[-1] = 1000 - thousandths.sum(axis=0)
        planes.append(np.diff(thousandths, axis=-1, prepend=np.int16(0)).ravel())
    low_then_high = np.concatenate(planes).astype("<i2").view(np.uint8).reshape(-1, 2).T
    packed = zlib.compress(low_then_high.tobytes(), 6)
    return {
        "sizes": [len(frame) for frame in frames],
        "bytes": base64.b64encode(packed).decode(),
    }


def recipe_in_words(task, recipe):
    """[(what, value)]: what it takes to do it again."""
    seeds = f"{recipe.seeds[0]}"
    if len(recipe.seeds) > 1:
        seeds += f" to {recipe.seeds[-1]}"
    return [
        ("data", f"{task.name}: {task.in_words(recipe)}"),
        ("optimizer", f"Adam, learning rate {recipe.learning_rate:g}"),
        ("epochs", f"{recipe.epochs}, minibatches of {recipe.batch_size}"),
        ("replicas", f"{len(recipe.seeds)}, seeds {seeds}"),
        ("device", recipe.device),
        ("versions", f"minigrad {minigrad.__version__}, NumPy {np.__version__}"),
    ]
