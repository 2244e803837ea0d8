"""report.html: one self-contained file, which asks nobody for anything.

The page carries its numbers with it: as JSON, and the maps as compressed bytes. Its policy
(Content-Security-Policy) lets the browser run this one script and no other, and load nothing.
"""

import base64
import hashlib
import html
import io
import json
import zlib
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.colors import to_hex
from PIL import Image  # comes with Matplotlib

import minigrad
from demos.comparison.ranking import estimate
from demos.comparison.results import finite
from demos.comparison.table import footnotes
from demos.comparison.takeaways import takeaways
from demos.comparison.training import GRID
from demos.pictures.boundaries import bayes_probabilities
from demos.pictures.data import MOST_ROWS, projection, reach
from demos.pictures.palette import class_colours, colour, marker, member

FOLDER = Path(__file__).parent
SCRIPT = ("state.js", "maps.js", "tables.js", "curves.js", "page.js")
MOST_POINTS = 400  # test points of a replica are shown
MOST_FEATURES = 40  # have a line in the table of masks: those that count most
WIDEST = 1200  # pixels of a signature picture


def page(rankings, task, recipe, command, signatures=None):
    """The text of the page.

    rankings: {protocol: [Standing]}. command: the command line that makes the same page again.
    signatures: the folder of demos/signatures.py, from which the pictures are taken that are there.
    """
    style, *parts = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", *SCRIPT))
    script = "\n".join(parts)
    return Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(f"minigrad: {task.name}"),
        style=style,
        script=script,
        style_hash=fingerprint(style),
        script_hash=fingerprint(script),
        data=json_for_html(contents(rankings, task, recipe, command, signatures)),
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


def contents(rankings, task, recipe, command, signatures=None):
    """All that the page knows, as numbers, strings, lists and dicts."""
    outcomes = [one.outcome for standings in rankings.values() for one in standings]
    n = len(task.class_names)
    has_maps = outcomes[0].grid is not None
    # Sequences are no points, neither in the plane nor projected.
    has_points = task.x_test.ndim == 3 and not getattr(task, "symbols", 0)
    replicas = {k for one in outcomes for k in replicas_of(one).values()} if has_points else ()
    return {
        "task": task.name,
        "features": task.feature_names,
        "axes": axes(task) if has_points else [],
        "classes": [
            {"name": name, "colour": to_hex(shade), "marker": marker(c)}
            for c, (name, shade) in enumerate(zip(task.class_names, class_colours(n)))
        ],
        "ceiling": task.bayes_accuracy,
        "baselines": [
            [name, f"{estimate(accuracy, task.overlap)} %"]
            for name, accuracy in task.baselines.items()
        ],
        "bayes": pack([bayes_probabilities(task, GRID)]) if has_maps and task.posterior else None,
        "frames": list(outcomes[0].frames),  # their epochs
        # Whoever trains the same under both protocols has the same maps.
        "maps": {key(one): maps(one) for one in outcomes if one.maps},
        # Of each replica: its test points, and the reach of the plane in its data's own units.
        "points": {k: points(task, k) for k in replicas},
        "reach": {k: list(reach(task, k)) for k in replicas} if has_maps else {},
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
        "pictures": pictures(outcomes, signatures) if signatures else [],
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
        "map": key(outcome),
        "shown": replicas_of(outcome),
        "guesses": {
            k: outcome.predictions[k][:MOST_POINTS].tolist() for k in replicas_of(outcome).values()
        },
        "masks": masks(outcome, task),
    }


def key(outcome):
    """By which a map is known: its architecture, and the protocol if that makes a difference."""
    return f"{outcome.name} {outcome.protocol if outcome.has_own_objective else ''}".strip()


def rounded(values):
    """To five significant digits: more than a chart shows."""
    return finite(float(f"{value:.5g}") for value in values.tolist())


def replicas_of(outcome):
    """{what it is: the replica}: those that can be looked at."""
    worst, best = outcome.extremes
    named = {"median": outcome.shown, "best": best, "worst": worst}
    last = max((epoch for _, epoch in outcome.maps), default=None)
    return {
        name: replica
        for name, replica in named.items()
        if last is None or (replica, last) in outcome.maps
    }


# --- points ------------------------------------------------------------------------------------


def axes(task):
    """What the plane of the points shows: two features, or a projection of more."""
    *_, names = projection(task)
    return [str(name) for name in names]


def points(task, replica):
    """The test points of a replica: [x, y, class], in thousandths of the plane's width and height.

    The plane is the maps'; with any other number of features than two it is the projection of the
    pictures, as far as nearly all points lie.
    """
    x, y, _ = projection(task, replica)
    test = slice(-min(task.x_test.shape[1], MOST_ROWS), None)
    if len(task.feature_names) == 2:
        left, right, bottom, top = task.extent
        low, high = np.array([left, bottom]), np.array([right, top])
    else:
        low, high = np.percentile(x, [0.5, 99.5], axis=0)
        margin = np.maximum(0.1 * (high - low), 0.05)
        low, high = low - margin, high + margin
    places = 1000 * (x[test][:MOST_POINTS] - low) / (high - low)
    places = np.rint(places.clip(-1e6, 1e6)).astype(int)
    return np.column_stack([places, y[test][:MOST_POINTS]]).tolist()


# --- maps --------------------------------------------------------------------------------------


def maps(outcome):
    """{replica: what `pack` makes of its maps}: of the median all epochs, of others the last."""
    found = {}
    for replica in replicas_of(outcome).values():
        places = [place for place in outcome.maps if place[0] == replica]
        found[replica] = pack(
            [outcome.maps[place] for place in places],
            [outcome.doubts[place] for place in places if place in outcome.doubts],
        )
    return found


def pack(frames, doubts=()):
    """Class probabilities [(n, n, C)], compressed: {"sizes": [n], "planes": P, "bytes": base64}.

    Each frame is C planes, in thousandths. In a plane stands how much each number is more than its
    left neighbour; in the last class's plane stands, instead of its probabilities, what all classes
    of a point lack to 1000: almost always 0. If there are doubts, [(n, n)], they are one plane
    more, in thousandths of a nat. All low bytes come first, then all high bytes.
    """
    planes = []
    for k, frame in enumerate(frames):
        thousandths = np.rint(1000 * np.nan_to_num(frame)).astype("<i2").transpose(2, 0, 1)
        thousandths[-1] = 1000 - thousandths.sum(axis=0)
        if len(doubts):
            doubt = np.rint(1000 * np.nan_to_num(doubts[k])).astype("<i2")
            thousandths = np.concatenate([thousandths, doubt[None]])
        planes.append(np.diff(thousandths, axis=-1, prepend=np.int16(0)).ravel())
    low_then_high = np.concatenate(planes).astype("<i2").view(np.uint8).reshape(-1, 2).T
    packed = zlib.compress(low_then_high.tobytes(), 6)
    return {
        "sizes": [len(frame) for frame in frames],
        "planes": len(thousandths),
        "bytes": base64.b64encode(packed).decode(),
    }


def masks(outcome, task):
    """Of a network that chooses features: [(feature, its share in each step, in all)]."""
    if outcome.masks is None:
        return []
    shares = outcome.masks.mean(axis=0)  # (steps + 1, D)
    most = np.argsort(-shares[-1], kind="stable")[:MOST_FEATURES]
    return [[task.feature_names[k], *rounded(shares[:, k])] for k in most.tolist()]


# --- pictures ----------------------------------------------------------------------------------


def pictures(outcomes, folder):
    """[(label, data URL)] of the signature pictures in the folder, as far as they are pictures."""
    found = {}
    for outcome in outcomes:
        path = Path(folder, f"{outcome.name}.png")
        if outcome.label in found or not path.is_file():
            continue
        try:
            with Image.open(path, formats=["png"]) as picture:
                small = picture.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
        small.thumbnail((WIDEST, WIDEST))
        text = io.BytesIO()
        small.quantize(64).save(text, "png")  # drawings have few colours: a seventh of the bytes
        found[outcome.label] = f"data:image/png;base64,{base64.b64encode(text.getvalue()).decode()}"
    return list(found.items())


# --- words -------------------------------------------------------------------------------------


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
