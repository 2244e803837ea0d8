"""Networks kept in files: nothing is lost, nothing is half-written, and no file is trusted."""

import io
import json
import os
import tracemalloc
import zipfile

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, files, functional, nn, optim


def network(width=4):
    return nn.Sequential(
        nn.Linear(3, width, rng=0), nn.BatchNorm(width), nn.Linear(width, 2, rng=1)
    )


def trained(net, steps, adam=None):
    """The network and its optimizer after some steps."""
    adam = adam or optim.Adam(net.parameters(), lr=0.1)
    x = Tensor(np.random.default_rng(0).normal(size=(8, 3)).astype("float32"))
    for _ in range(steps):
        adam.zero_grad()
        functional.cross_entropy(net(x), np.arange(8) % 2).backward()
        adam.step()
    return net, adam


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_training_goes_on_bit_by_bit_where_it_was_kept(tmp_path):
    path = tmp_path / "run.npz"
    net, adam = trained(network(), 3)
    minigrad.save(path, net, adam)
    trained(net, 2, adam)
    minigrad.save(tmp_path / "state.npz", net.state_dict())
    assert same(minigrad.load(tmp_path / "state.npz").state, net.state_dict())

    other = network()
    other_adam = optim.Adam(other.parameters(), lr=0.1)
    assert minigrad.load(path).restore(other, other_adam) is other
    trained(other, 2, other_adam)
    assert same(net.state_dict(), other.state_dict())
    assert same(adam.state_dict(), other_adam.state_dict())


def test_extras(tmp_path):
    path = tmp_path / "run.npz"
    extras = {"epoch": 7, "classes": ["cat", "dög"], "nothing": None, "options": {"sizes": [3, 4]}}
    arrays = {"mean": np.arange(3.0), "tensor": Tensor([[1.0]]), "one": np.float64(2)}
    minigrad.save(
        path, network(), **extras, **arrays, label=np.array(["x", "yz"]), no=np.zeros((0, 2))
    )
    kept = minigrad.load(path)
    assert {name: kept.extras[name] for name in extras} == extras and kept.optimizer is None
    assert kept.extras["mean"].tolist() == [0, 1, 2] and kept.extras["tensor"].tolist() == [[1.0]]
    assert kept.extras["one"] == 2 and kept.extras["label"].tolist() == ["x", "yz"]
    assert kept.extras["no"].shape == (0, 2)
    assert "8 arrays, 42 numbers; no optimizer; extras: epoch, " in repr(kept)
    for wrong in ({"f": print}, {"f": np.array([{}])}, {"f": {1, 2}}):
        with pytest.raises(TypeError, match="extra 'f'"):
            minigrad.save(path, network(), **wrong)
    assert minigrad.load(path).extras.keys() == kept.extras.keys()


def test_all_differences_are_listed_and_nothing_is_written(tmp_path):
    path = tmp_path / "run.npz"
    minigrad.save(path, *trained(network(), 1))
    wider = nn.Sequential(
        nn.Linear(3, 5, rng=2), nn.BatchNorm(4), nn.Linear(4, 2, bias=False, rng=3)
    )
    sgd = optim.SGD(wider.parameters())
    before = wider.state_dict()
    with pytest.raises(ValueError) as refused:
        minigrad.load(path).restore(wider, sgd)
    for part in (
        "layers.0.weight",
        "(3, 5)",
        "(3, 4)",
        "layers.0.bias",
        "layers.2.bias",
        "velocity",
    ):
        assert part in str(refused.value)
    assert same(before, wider.state_dict())
    # The module fits, the optimizer does not: neither is changed.
    net = network()
    before = net.state_dict()
    with pytest.raises(ValueError, match=r"optimizer: .*missing: velocity"):
        minigrad.load(path).restore(net, optim.SGD(net.parameters()))
    assert same(before, net.state_dict())
    minigrad.save(path, net)
    with pytest.raises(ValueError, match="optimizer: the file has none"):
        minigrad.load(path).restore(net, optim.Adam(net.parameters()))
    with pytest.raises(ValueError, match=r"float32.*float64"):
        state = {name: array.astype("float64") for name, array in net.state_dict().items()}
        minigrad.checkpoint.Checkpoint(state, None, {}).restore(net)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    minigrad.save(path, network(), epoch=1)
    first = path.read_bytes()
    minigrad.save(path, network(), epoch=1)
    assert path.read_bytes() == first

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.npy, "write_array", full)
    with pytest.raises(OSError, match="No space left"):
        minigrad.save(path, network(), epoch=2)
    assert os.listdir(tmp_path) == ["run.npz"] and path.read_bytes() == first


# --- files that nobody should trust ----------------------------------------------------------

ABOUT = {"format": 1, "optimizer": False, "extras": {}}


def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array))
    return file.getvalue()


def header(descr, shape):
    file = io.BytesIO()
    description = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, description)
    return file.getvalue()


def about(text):
    return npy(np.frombuffer(text.encode(), "uint8"))


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in {"minigrad.npy": about(json.dumps(ABOUT)), **members}.items():
            file.writestr(name, content)
    return path


HOSTILE = [
    ({"module/a.npy": npy(np.array([{}, print], object))}, "holds no plain arrays"),
    ({"module/a.npy": header([("x", "<f8")], (1,)) + bytes(8)}, "holds no plain arrays"),
    ({"module/a.npy": header("<f8", (10**12, 20)) + bytes(64)}, "holds no plain arrays"),
    ({"module/a.npy": header("<f8", (-4, -2)) + bytes(64)}, "holds no plain arrays"),
    ({"module/a.npy": header("<f8", (4,)) + bytes(31)}, "in 31 bytes"),
    ({"module/a.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(99)}, "holds no plain arrays"),
    ({"module/a.npy": b"\x93NUMPY\x02\x00\x60\xea\0\0" + b" " * 60_000}, "holds no plain arrays"),
    ({"module/a.npy": b"\x93NUMPY\x01\x00\x28\x23" + b"-" * 9_000}, "holds no plain arrays"),
    ({"module/a.npy": b"no array"}, "holds no plain arrays"),
    ({"../../a.npy": npy(0.0)}, r"no file of minigrad.save: it holds '\.\./\.\./a'"),
    ({"minigrad.npy": about("[" * 100_000)}, "no file of minigrad.save"),
    ({"minigrad.npy": about("[1]")}, "no file of minigrad.save"),
    ({"minigrad.npy": about("{}")}, "no file of minigrad.save"),
    ({"minigrad.npy": about(json.dumps(ABOUT | {"format": 99}))}, "another version"),
]


@pytest.mark.parametrize(("members", "complaint"), HOSTILE)
def test_hostile_files(tmp_path, members, complaint):
    path = archive(tmp_path / "run.npz", members)
    refuses(path, complaint)


def refuses(path, complaint):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=complaint) as refused:
            minigrad.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_bombs(tmp_path):
    bomb = header("|u1", (50_000_000,)) + bytes(50_000_000)
    path = archive(tmp_path / "run.npz", {"module/a.npy": bomb}, zipfile.ZIP_DEFLATED)
    refuses(path, "more than is credible")
    # A directory whose entries all point to the same bytes.
    content = header("|u1", (500_000,)) + bytes(500_000)
    names = {f"module/{k:03}.npy": content if k == 0 else b"" for k in range(300)}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("minigrad.npy", about(json.dumps(ABOUT)))
        for name, text in names.items():
            file.writestr(name, text)
        first = file.getinfo("module/000.npy")
        for info in file.infolist()[2:]:
            info.header_offset, info.CRC = first.header_offset, first.CRC
            info.file_size = info.compress_size = first.file_size
    refuses(path, "is broken")


def test_twice_the_same_name(tmp_path):
    path = tmp_path / "run.npz"
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        for _ in range(2):
            file.writestr("minigrad.npy", about(json.dumps(ABOUT)))
    refuses(path, "two of its arrays have the same name")


def test_truncated_broken_and_foreign_files(tmp_path):
    path = tmp_path / "run.npz"
    net = network()
    minigrad.save(path, net)
    whole = path.read_bytes()
    for end in range(0, len(whole), 97):
        path.write_bytes(whole[:end])
        refuses(path, "no .npz file, or a broken one")
    for place in range(0, len(whole), 41):
        broken = bytearray(whole)
        broken[place] ^= 255
        path.write_bytes(bytes(broken))
        try:
            minigrad.load(path).restore(network())
        except ValueError as error:  # sometimes what is broken is not needed
            assert "\n" not in str(error)
    np.savez(path, weights=np.zeros(3))
    refuses(path, "lacks minigrad; its arrays: weights")
    path.write_bytes(b"\x80\x04pickle")
    refuses(path, "no .npz file")
    with pytest.raises(OSError, match="it is a folder"):
        minigrad.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        minigrad.load(tmp_path / "none.npz")
