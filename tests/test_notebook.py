"""The comparison in a notebook, which is pretended: text, a line that updates, pictures."""

import sys
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from demos import notebook
from demos.comparison import contest
from demos.pictures.palette import STYLE

QUICK = "--only mlp --replicas 2 --epochs 2"


class Cell:
    """What IPython's display is in a notebook: it keeps what it is shown."""

    def __init__(self):
        self.shown, self.line = [], []

    def __call__(self, data, raw=False, display_id=False):
        assert raw == isinstance(data, dict)  # by its MIME types
        if display_id:
            return SimpleNamespace(update=self.update)
        self.shown.append(data)

    def update(self, data, raw):
        assert raw
        self.line.append(data["text/plain"])


def test_no_networks_are_kept():
    with pytest.raises(ValueError, match="here nothing is written"):
        notebook.compare("--save")


def test_elsewhere_only_the_text_is_left(capsys):
    rankings = notebook.compare(QUICK)
    [one] = rankings["shared"]
    assert one.outcome.name == "mlp" and len(one.outcome.accuracy) == 2
    assert "Key takeaways" in capsys.readouterr().out


def test_in_a_notebook_the_line_updates_and_pictures_are_shown(capsys, monkeypatch):
    cell = Cell()
    images = SimpleNamespace(display=cell, Image=lambda data: data)
    ipython = SimpleNamespace(
        version_info=(9, 0), get_ipython=lambda: SimpleNamespace(kernel=True), display=images
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", images)
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    notebook.compare(QUICK)
    assert [line for line in cell.line if "epoch 2/2" in line]
    assert "drawing summary.png ..." in cell.line and cell.line[-1] == ""
    assert len(cell.shown) == 4 and all(data.startswith(b"\x89PNG") for data in cell.shown)
    assert "[1/1] MLP: " in capsys.readouterr().out


def test_what_failed_and_what_stopped_it_is_said(monkeypatch, capsys):
    def compete(entries, place, progress):
        trained, failed, _ = contest.compete(entries[:1], place, progress)
        return trained, failed | {"SNN": "no room"}, KeyboardInterrupt()

    monkeypatch.setattr(notebook, "compete", compete)
    rankings = notebook.compare("--only mlp,snn --replicas 1 --epochs 1 --quiet")
    assert [one.outcome.name for one in rankings["shared"]] == ["mlp"]
    assert capsys.readouterr().err.splitlines() == [
        "SNN failed: no room",
        "interrupted: this is what had finished",
    ]


def test_pictures_and_words_can_be_left_out(monkeypatch, capsys):
    cell = Cell()
    monkeypatch.setattr(notebook, "notebook_display", lambda: cell)
    notebook.compare(f"{QUICK} --no-plots --quiet")
    assert cell.shown == cell.line == []
    assert capsys.readouterr().out.strip().startswith("====")


def test_pictures_of_both_protocols_are_shown_the_most_telling_ones_first(tmp_path, monkeypatch):
    images = SimpleNamespace(Image=lambda data: data)
    monkeypatch.setitem(sys.modules, "IPython.display", images)
    for folder in ("", "shared", "native"):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in ("curves.png", "data.png", "summary.png"):
            (tmp_path / folder / name).write_text(f"{folder} {name}")
    cell = Cell()
    notebook.show(tmp_path, cell)
    assert [data.decode().strip() for data in cell.shown] == [
        *("summary.png", "curves.png", "native summary.png", "native curves.png"),
        *("shared summary.png", "shared curves.png"),
    ]


def test_a_figure_as_the_last_line_of_a_cell():
    assert notebook.Picture(Figure(figsize=(1, 1)))._repr_png_().startswith(b"\x89PNG")
