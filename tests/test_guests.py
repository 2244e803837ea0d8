"""Files of guests: what they register, and what is said of those that do not."""

import pickle

import pytest

from architectures import ARCHITECTURES, list_architectures
from demos.comparison.guests import guest
from demos.comparison.options import parse
from demos.shell.ending import Refusal

GUEST = """
import architectures
from minigrad import nn

class Mine(nn.Sequential):
    def __init__(self, input_size, *, rng=None):
        super().__init__(nn.Linear(input_size, 3, rng=rng))
        self.output_size = 3

architectures.register("mine", Mine)
"""


def write(tmp_path, text, name="my_model.py"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_only_knows_guests_and_all_has_them(tmp_path):
    path = write(tmp_path, GUEST)
    assert parse(["--with", path, "--only", "Mine"]).only == ["mine"]
    assert parse(["--with", path]).only == [*list_architectures()] and "mine" in ARCHITECTURES


def test_a_file_that_has_changed_is_loaded_again_and_the_same_is_not(tmp_path):
    path = write(tmp_path, GUEST)
    guest(path).load()
    first = ARCHITECTURES["mine"]
    pickle.loads(pickle.dumps(guest(path))).load()
    assert ARCHITECTURES["mine"] is first
    write(tmp_path, GUEST.replace("Mine", "Other"))
    guest(path).load()
    assert ARCHITECTURES["mine"].backbone.__name__ == "Other"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1", "registers nothing"),
        ("\nundefined", "line 2: NameError: name 'undefined' is not defined"),
        ("\n\nx = (", r"line 3: SyntaxError: '\(' was never closed"),
        ("raise SystemExit(3)", "line 1: SystemExit: 3"),
        (GUEST.replace('"mine"', '"mlp"'), "ValueError: the name 'mlp' belongs to MLP already"),
    ],
)
def test_a_file_that_is_no_guest(tmp_path, text, complaint):
    before = dict(ARCHITECTURES)
    with pytest.raises(Refusal, match=complaint):
        parse(["--with", write(tmp_path, text)])
    assert before == ARCHITECTURES


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(Refusal, match=r"cannot read .*none\.py: No such file"):
        parse(["--with", str(tmp_path / "none.py")])
    with pytest.raises(Refusal, match="it is a folder"):
        parse(["--with", str(tmp_path)])
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refusal, match="is no Python file"):
        parse(["--with", str(tmp_path / "binary.py")])
