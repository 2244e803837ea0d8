"""The page: what it carries, that it is safe and self-contained, and that a browser shows it."""

import base64
import io
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from PIL import Image

import minigrad
from demos import compare
from demos.comparison import drawn, training
from demos.comparison.own_data import task_from_file
from demos.comparison.prediction import grid_points
from demos.comparison.ranking import rank, rank_all
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.sequences import adding
from demos.comparison.training import Entry, Recipe, train
from demos.page import build
from demos.pictures import data
from demos.pictures.data import projection

SEEDS = (3, 4, 5)
HOSTILE = '</script><img src=x onerror="document.title=1">'
LONG = 45 * "w"
COMMAND = "python demos/compare.py --seed 3"


@pytest.fixture(autouse=True)
def small_grids(monkeypatch):
    monkeypatch.setattr(training, "GRID", 24)
    monkeypatch.setattr(build, "GRID", 24)
    monkeypatch.setattr(training, "FRAME", 9)


def competed(task, seeds, names=("mlp", "ebm"), **options):
    recipe = Recipe(seeds=seeds, epochs=2, **{"boundaries": True} | options)
    return [train(Entry(name, task, recipe)) for name in names], recipe


def rings(names=("mlp", "ebm"), **options):
    task = rings_and_clusters(SEEDS)
    outcomes, recipe = competed(task, SEEDS, names, **options)
    return {"shared": rank(outcomes, task.bayes_accuracy)}, task, recipe


def hostile(tmp_path, features, names=("mlp", "ebm")):
    """Data of which every name would like to be something else."""
    rng = np.random.default_rng(0)
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    head = [quoted, '"$style &lt;"', *(f"f{k}" for k in range(features - 2)), "kind"]
    rows = [
        ",".join(
            [*(f"{value:.3f}" for value in point + k % 3), (quoted, "<b>&amp;" + LONG, "犬")[k % 3]]
        )
        for k, point in enumerate(rng.normal(size=(60, features)))
    ]
    path = tmp_path / "<i>.csv"
    path.write_text("\n".join([",".join(head), *rows]), encoding="utf-8")
    task = task_from_file(path, "kind", SEEDS)
    outcomes, recipe = competed(task, SEEDS, names, boundaries=features == 2)
    return {"shared": rank(outcomes)}, task, recipe


class Reader(HTMLParser):
    """The tags of a page, and the text in each script and style."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside, self.holds = [], None, {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = dict(attributes).get("id", tag)

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        if self.inside:
            self.holds[self.inside] = self.holds.get(self.inside, "") + text


def unpacked(packed, classes):
    """What pack() packed, in thousandths: [(n, n, C)]; the doubts, if there are any, come last."""
    low, high = np.frombuffer(zlib.decompress(base64.b64decode(packed["bytes"])), np.uint8).reshape(
        2, -1
    )
    steps = np.stack([low, high], axis=-1).reshape(-1).view("<i2")
    frames = []
    for n in packed["sizes"]:
        size = packed["planes"] * n * n
        planes, steps = steps[:size].reshape(-1, n, n).cumsum(axis=-1), steps[size:]
        planes[classes - 1] = 1000 - planes[:classes].sum(axis=0)
        frames.append(planes.transpose(1, 2, 0))
    assert not len(steps)
    return frames


def test_the_numbers_on_the_page_are_those_of_the_run():
    rankings, task, recipe = rings(names=("mlp", "bayesian"))
    known = json.loads(Reader(build.page(rankings, task, recipe, COMMAND)).holds["data"])
    assert known["frames"] == [0, 1, 2] and known["command"] == COMMAND
    assert (known["epochs"], known["watched"], known["replicas"]) == (2, 3, 3)
    assert known["ceiling"] == task.bayes_accuracy and not known["baselines"]
    looks = [{shown[key] for shown in known["classes"]} for key in ("name", "colour", "marker")]
    assert list(map(len, looks)) == [5, 5, 5]
    words = dict(known["recipe"])
    assert words["optimizer"] == "Adam, learning rate 0.01"
    assert words["epochs"] == "2, minibatches of 32" and words["replicas"] == "3, seeds 3 to 5"
    assert words["data"] == ("rings and clusters: 800 train / 200 test, 5 classes, 25 batches")
    assert words["device"] == "cpu" and words["versions"] == (
        f"minigrad {minigrad.__version__}, NumPy {np.__version__}"
    )
    [ceiling] = unpacked(known["bayes"], 5)
    possible = task.posterior(grid_points(task.extent, 24)).reshape(24, 24, 5)
    assert abs(ceiling / 1000 - possible).max() < 0.501e-3
    said = known["protocols"]["shared"]
    assert said["notes"][0] == "±  95 % confidence interval of the mean over 3 replicas"
    assert said["takeaways"][0].startswith(rankings["shared"][0].outcome.label)
    assert len({one["colour"] for one in said["standings"]}) == 2
    left, right, bottom, top = task.extent
    for one, shown in zip(
        rankings["shared"], known["protocols"]["shared"]["standings"], strict=True
    ):
        outcome = one.outcome
        for name in ("label", "family", "parameters"):
            assert shown[name] == getattr(outcome, name)
        assert shown["accuracies"] == outcome.accuracy and shown["seconds"] == outcome.train_seconds
        assert (shown["mean"], shown["half_width"], shown["says"], shown["to_ceiling"]) == (
            *(one.accuracy.mean, one.accuracy.half_width),
            *(f"{one.accuracy} %", one.to_ceiling),
        )
        for name, history in (
            ("loss", outcome.loss_history),
            ("accuracy", outcome.accuracy_history),
        ):
            np.testing.assert_allclose(shown[name], history.mean(axis=0), rtol=1e-4)
        assert shown["place"] == one.place and shown["ties"] == list(one.ties)
        assert shown["confusion"] == outcome.confusion.tolist()
        worst, best = outcome.extremes
        assert outcome.accuracy[worst] == min(outcome.accuracy)
        assert outcome.accuracy[best] == max(outcome.accuracy)
        assert shown["shown"] == {"median": outcome.shown, "best": best, "worst": worst}
        assert len({outcome.shown, best, worst}) == 3  # or this would not tell them apart
        for replica in shown["shown"].values():
            frames = unpacked(known["maps"][shown["map"]][str(replica)], 5)
            assert [len(frame) for frame in frames] == (
                [9, 9, 24] if replica == outcome.shown else [9]
            )
            places = [place for place in outcome.maps if place[0] == replica]
            for frame, place in zip(frames, places, strict=True):
                parts = [outcome.maps[place]]
                if outcome.name == "bayesian":
                    parts.append(outcome.doubts[place][..., None])
                assert abs(frame / 1000 - np.concatenate(parts, axis=-1)).max() < 0.5001e-3
            x, y = task.x_test[replica], task.y_test[replica]
            points = np.array(known["points"][str(replica)])
            assert np.array_equal(points[:, 2], y)
            assert (
                np.mean(points[:, 2] == shown["guesses"][str(replica)]) == outcome.accuracy[replica]
            )
            np.testing.assert_allclose(
                left + points[:, 0] * (right - left) / 1000, x[:, 0], atol=0.0051
            )
            np.testing.assert_allclose(
                bottom + points[:, 1] * (top - bottom) / 1000, x[:, 1], atol=0.0051
            )


def test_places_are_in_the_datas_own_units(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)) * [1e-3, 5e6] + [2, 1e8]
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % 3)
    task = task_from_file(tmp_path / "data.npz", None, SEEDS)
    for replica in range(3):
        left, right, bottom, top = build.reach(task, replica)
        share = np.array([point[:2] for point in build.points(task, replica)]) / 1000
        found = share * [right - left, top - bottom] + [left, bottom]
        rows = [np.abs(x - point).max(axis=1).argmin() for point in found]
        nearest = np.array([x[np.argmin(((x - p) / [1e-3, 5e6]) ** 2 @ [1, 1])] for p in found])
        assert len(rows) == 12
        assert (np.abs(found - nearest) < [1e-5, 5e4]).all()


def test_more_features_than_two_are_projected_and_masks_are_shown(tmp_path):
    rankings, task, recipe = hostile(tmp_path, 4, names=("tabnet", "mlp"))
    known = build.contents(rankings, task, recipe, COMMAND)
    assert not known["maps"] and not known["reach"]
    assert known["axes"][0].startswith("component 1: ")
    shown = {one["label"]: one for one in known["protocols"]["shared"]["standings"]}
    assert shown["MLP"]["masks"] == []
    assert {name for name, *_ in shown["TabNet"]["masks"]} == set(task.feature_names)
    steps = np.array([shares for _, *shares in shown["TabNet"]["masks"]])
    np.testing.assert_allclose(steps.sum(axis=0), np.ones(4), rtol=1e-3)
    assert (np.diff(steps[:, -1]) <= 0).all()  # those that count most in all steps first
    for replica, points in known["points"].items():
        x, y, _ = projection(task, replica)
        points = np.array(points)
        assert np.array_equal(points[:, 2], y[-len(points) :])
        for k in range(2):
            assert np.corrcoef(points[:, k], x[-len(points) :, k])[0, 1] > 0.9999
            # 99 % of all points, and a tenth of their reach on both sides, fill the plane.
            scale = np.polyfit(x[-len(points) :, k], points[:, k], 1)
            middle = np.polyval(scale, np.percentile(x[:, k], [0.5, 99.5]))
            np.testing.assert_allclose(middle, [1000 / 12, 11000 / 12], atol=2)


def test_of_many_rows_the_first_are_shown(tmp_path, monkeypatch):
    _, task, _ = hostile(tmp_path, 4, names=("mlp",))
    rows = task.y_train.shape[1]
    whole, y_whole, _ = projection(task)
    for module in (build, data):
        monkeypatch.setattr(module, "MOST_ROWS", rows)
    np.testing.assert_array_equal(projection(task)[0], whole)  # fewer for testing than for training
    for module in (build, data):
        monkeypatch.setattr(module, "MOST_ROWS", 5)
    x, y, _ = projection(task)
    assert len(x) == 10 and [*y] == [*y_whole[:5], *y_whole[rows : rows + 5]]
    assert [label for *_, label in build.points(task, 0)] == [*y_whole[rows : rows + 5]]


def test_of_very_many_points_four_hundred_are_shown_and_of_features_forty():
    task = rings_and_clusters(SEEDS)
    task = replace(task, x_test=np.tile(task.x_test, (1, 3, 1)), y_test=np.tile(task.y_test, 3))
    assert len(build.points(task, 0)) == 400 < task.y_test.shape[1]
    shares = np.random.default_rng(0).dirichlet(np.ones(50), size=(3, 4))  # (R, steps + 1, D)
    wide = replace(task, feature_names=tuple(f"f{k}" for k in range(50)))
    shown = build.masks(SimpleNamespace(masks=shares), wide)
    most = np.sort(shares.mean(axis=0)[-1])[::-1][:40]
    np.testing.assert_allclose([of_all for *_, of_all in shown], most, rtol=1e-4)


def test_no_finite_or_other_number_breaks_a_map():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(7, 0.3), size=(12, 12))
    [frame] = unpacked(build.pack([probabilities]), 7)
    assert np.array_equal(frame, np.rint(1000 * probabilities))
    probabilities[3, 4] = np.nan  # of a network that diverged
    [frame] = unpacked(build.pack([probabilities]), 7)
    assert not frame[3, 4].any() and np.array_equal(frame[0], np.rint(1000 * probabilities[0]))


def test_whoever_trains_the_same_under_both_protocols_has_one_map():
    task = rings_and_clusters(SEEDS)
    outcomes, recipe = competed(task, SEEDS)
    natives, _ = competed(task, SEEDS, names=("ebm",), protocol="native")
    rankings = rank_all(outcomes + natives, ("shared", "native"))
    known = build.contents(rankings, task, recipe, COMMAND)
    assert known["maps"].keys() == {"mlp", "ebm shared", "ebm native"}
    assert list(known["protocols"]) == ["shared", "native"]


@pytest.mark.parametrize("features", [2, 3])
def test_names_from_outside_stay_text(tmp_path, features):
    rankings, task, recipe = hostile(tmp_path, features)
    plain, text = (
        build.page(rankings, some, recipe, COMMAND + HOSTILE)
        for some in (replace(task, name="x", class_names=("a", "b", "c")), task)
    )
    page = Reader(text)
    assert page.tags == Reader(plain).tags
    assert "img" not in dict(page.tags)
    known = json.loads(page.holds["data"])
    assert known["task"] == page.holds["title"].removeprefix("minigrad: ") == "<i>.csv"
    assert known["features"][0] == HOSTILE and known["features"][1] == "$style &lt;"
    assert {one["name"] for one in known["classes"]} == {HOSTILE, "<b>&amp;" + LONG, "犬"}
    assert bool(known["maps"]) == (features == 2)


def test_the_page_asks_for_nothing_and_runs_only_its_own_script():
    page = Reader(build.page(*rings(), COMMAND))
    policy = next(tag["content"] for _, tag in page.tags if "http-equiv" in tag)
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        assert f"{kind}-src '{build.fingerprint(page.holds[kind])}'" in policy
    for _, attributes in page.tags:
        assert not {"src", "href", "style", "onclick"} & attributes.keys()
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|eval\(", page.holds["script"])
    assert page.tags[0] == ("html", {"lang": "en"})


def test_sequences_have_no_plane():
    task = adding(SEEDS[:2])
    recipe = Recipe(seeds=SEEDS[:2], epochs=1)
    outcome = drawn.train(Entry("mlp", replace(task, steps=1), recipe))
    known = build.contents({"shared": rank([outcome])}, task, recipe, COMMAND)
    assert not known["axes"] and not known["points"] and not known["maps"]
    assert known["baselines"] == [["guessing", "9.5 ± 0.0 %"]]


def test_signature_pictures_are_on_the_page_if_they_are_there(tmp_path):
    rankings, task, recipe = rings()
    assert build.contents(rankings, task, recipe, COMMAND, tmp_path)["pictures"] == []
    Image.new("RGB", (2400, 600), "#0072b2").save(tmp_path / "ebm.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "snn.png")  # which does not compete
    (tmp_path / "mlp.png").write_text("<script>")
    [(label, url)] = build.contents(rankings, task, recipe, COMMAND, tmp_path)["pictures"]
    assert label == "EBM"
    picture = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    assert picture.size == (1200, 300)
    assert picture.convert("RGB").getpixel((7, 7)) == (0, 0x72, 0xB2)


def test_every_label_and_every_id_of_the_script_is_there():
    page = Reader(build.page(*rings(), COMMAND))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = set(re.findall(r'find\("([\w-]+)"\)', page.holds["script"]))
    assert named <= set(ids)
    for _, attributes in page.tags:
        for key in ("for", "aria-labelledby"):
            assert attributes.get(key, ids[0]) in ids


def test_a_run_writes_the_page_and_opens_it(tmp_path, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(compare, "draw", lambda *_: None)
    (tmp_path / "signatures").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "signatures" / "mlp.png")
    options = ["--only", "mlp", "--replicas", "2", "--epochs", "1", "--out", str(tmp_path)]
    assert compare.main([*options, "--open"]) == 0
    assert opened == [(tmp_path / "report.html").as_uri()]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(text) < 200_000
    known = json.loads(Reader(text).holds["data"])
    assert [label for label, _ in known["pictures"]] == ["MLP"]
    assert known["command"] == f"python demos/compare.py {' '.join(options)} --open"
    with pytest.raises(SystemExit):
        compare.main([*options, "--open", "--no-plots"])
    assert "leave out --no-plots" in capsys.readouterr().err
    assert compare.main([*options, "--no-plots"]) == 0
    assert not (tmp_path / "report.html").exists()


# --- in a browser ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    try:
        browser = Browser(tmp_path_factory.mktemp("profile"))
    except (AssertionError, OSError) as error:  # half installed, or in a container without a place
        pytest.skip(f"{CHROMIUM} does not start: {error}")
    yield browser
    browser.close()


def visit(browser, path, text, width=1600):
    path.write_text(text, encoding="utf-8")
    browser.events.clear()
    browser.size(width, 900)
    browser.ask("Page.navigate", url=path.as_uri())
    browser.until("document.readyState === 'complete'")
    browser.until("maps.length && !waiting.size && find('epoch-says').textContent")


def complaints(browser):
    """What the console says, and what was asked of the network."""
    loud = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
        and not event["params"]["request"]["url"].startswith("data:")
    ]
    return [event for event in browser.events if event["method"] in loud] + asked[1:]


def settled(browser):
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_browser_shows_the_networks_numbers_where_the_mouse_is(browser, tmp_path):
    rankings, task, recipe = rings()
    visit(browser, tmp_path / "report.html", build.page(rankings, task, recipe, COMMAND))
    browser.run("maps[0].canvas.scrollIntoView()")
    box = browser.run("(({x, y, width}) => [x, y, width])(maps[0].canvas.getBoundingClientRect())")
    left, top, side = box
    read = """maps.map(({bars}) => bars.map(({number}) => number.textContent))"""
    for u, v in [(0.31, 0.72), (0.5, 0.5), (0.9, 0.05)]:
        browser.mouse(left + u * side, top + (1 - v) * side)
        settled(browser)
        for one, shown in zip(rankings["shared"], browser.run(read), strict=True):
            grid = one.outcome.grid
            expected = grid[round(v * (len(grid) - 1)), round(u * (len(grid) - 1))]
            assert abs(np.array(shown, float) - expected).max() < 0.5001e-3
    before = browser.run(read)
    browser.run("find('epoch').focus()")
    pictures = "maps.map(({plane}) => plane.toDataURL())"
    last = browser.run(pictures)
    browser.press("Home", windowsVirtualKeyCode=36)
    settled(browser)
    assert browser.run("find('epoch-says').textContent") == "untrained"
    assert all(a != b for a, b in zip(last, browser.run(pictures)))
    assert browser.run(read) != before
    assert not complaints(browser)


def test_a_browser_shows_other_replicas_and_doubts(browser, tmp_path):
    rankings, task, recipe = rings(names=("mlp", "bayesian"))
    Image.new("RGB", (60, 30)).save(tmp_path / "mlp.png")
    text = build.page(rankings, task, recipe, COMMAND, signatures=tmp_path)
    visit(browser, tmp_path / "report.html", text)
    browser.until("document.images.length === 1 && document.images[0].naturalWidth === 60")
    cross = "state.cursor = placeAt(maps[0], [0.25, 0.75]); drawCursor()"
    read = "maps.map(({bars}) => bars.map(({number}) => number.textContent))"
    assert not browser.run("find('epoch').disabled")
    for name in ("best", "worst", "median"):
        browser.run(f"document.querySelector('[name=replica][value={name}]').click()")
        settled(browser)
        browser.run(cross)
        says = browser.run("maps.map(({says, unsure}) => [says.textContent, unsure.textContent])")
        assert browser.run("find('epoch').disabled") == (name != "median")
        for one, shown, (title, unsure) in zip(
            rankings["shared"], browser.run(read), says, strict=True
        ):
            outcome = one.outcome
            worst, best = outcome.extremes
            replica = {"best": best, "worst": worst, "median": outcome.shown}[name]
            map = outcome.maps[replica, 2]
            at = round(0.75 * (len(map) - 1)), round(0.25 * (len(map) - 1))
            assert abs(np.array(shown, float) - map[at]).max() < 0.5001e-3
            assert title.replace("\xa0", " ").startswith(
                f"here {100 * outcome.accuracy[replica]:.1f}"
            )
            p = map[at].astype(float)
            assert abs(float(unsure.split()[1].strip(",")) + (p * np.log(p)).sum()) < 0.02
            if outcome.name == "bayesian":
                doubt = outcome.doubts[replica, 2][at]
                assert abs(float(unsure.split()[3]) - doubt) < 0.0056
    pictures = "maps.map(({plane}) => plane.toDataURL())"
    seen = [browser.run(pictures)]
    for paint in ("confidence", "doubt"):
        browser.run(f"document.querySelector('[name=paint][value={paint}]').click()")
        seen.append(browser.run(pictures))
    assert all(len(set(some)) == 3 for some in zip(*seen))
    assert not complaints(browser)


def test_a_browser_sorts_and_marks(browser, tmp_path):
    rankings, task, recipe = rings()
    visit(browser, tmp_path / "report.html", build.page(rankings, task, recipe, COMMAND))
    names = "[...find('ranking').tBodies[0].rows].map(row => row.cells[1].textContent)"
    assert browser.run(names) == [one.outcome.label for one in rankings["shared"]]
    parameters = "find('ranking').tHead.querySelector('th:last-child button')"
    assert browser.run(f"{parameters}.textContent") == "Parameters"
    browser.run(f"{parameters}.click()")
    assert browser.run(names) == ["EBM", "MLP"]
    browser.run(f"{parameters}.click()")
    assert browser.run(names) == ["MLP", "EBM"]
    assert browser.run("document.querySelectorAll('[aria-sort=descending]').length") == 1
    browser.run("""document.querySelector('[data-at="1 4"]').click()""")
    assert browser.run("state.marked") == [1, 4]
    assert browser.run("""document.querySelectorAll('td[aria-pressed="true"]').length""") == 2
    assert not complaints(browser)


def test_a_browser_needs_no_mouse(browser, tmp_path):
    visit(browser, tmp_path / "report.html", build.page(*rings(), COMMAND))
    browser.run("maps[1].canvas.focus()")
    x, y = browser.run("state.cursor")
    browser.press("ArrowRight")
    browser.press("ArrowUp")
    assert browser.run("state.cursor") == [pytest.approx(x + 0.2), pytest.approx(y + 0.2)]
    says = browser.run("find('spoken').textContent")
    assert says.startswith("x1 = 0.2, x2 = 0.2: ") and says.count(": class ") == 2
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    seen = set()
    for _ in range(60):
        browser.press("Tab", windowsVirtualKeyCode=9)
        focused = "((one) => one.id || one.name || one.textContent || one.tagName)"
        seen.add(browser.run(f"{focused}(document.activeElement)"))
        assert browser.run(f"document.activeElement === document.body || {outline} !== 'none'")
    assert {"play", "replica", "paint", "show-points", "show-bayes", "command", "Rank"} <= seen
    browser.run("goTo(0); find('play').click()")
    browser.until("state.step === 2 && timer === null")  # to the end, and no more
    assert not complaints(browser)


@pytest.mark.parametrize("features", [2, 3])
@pytest.mark.parametrize("width", [380, 900, 1600])
def test_a_browser_shows_hostile_names_as_text_at_any_width(browser, tmp_path, features, width):
    visit(
        browser, tmp_path / "report.html", build.page(*hostile(tmp_path, features), COMMAND), width
    )
    assert browser.run("document.images.length") == 0
    assert browser.run("document.title") == "minigrad: <i>.csv"
    assert HOSTILE in browser.run("find('takeaways').textContent + find('classes').textContent")
    assert browser.run("find('no-maps').hidden") == (features == 2)
    too_wide = """[...document.querySelectorAll('body *')].filter(one =>
        one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML)"""
    assert browser.run(too_wide) == []
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert not complaints(browser)
