"""Files of one's own: what is read, and what is refused in one line."""

import contextlib
import io
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from demos.comparison import own_data, resuming, seeds
from demos.comparison.data_files import DataError
from demos.comparison.own_data import extent, standardised_as, task_from_file
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.training import Entry, Recipe
from demos.sweeping.grid import repeated
from minigrad.data import LazyRows, train_test_split

IRISES = "width,length,species\n" + "".join(
    f"{i},{i * i},{'setosa' if i % 2 else 'virginica'}\n" for i in range(20)
)
LONG = 50 * "n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_csv_is_standardised_by_its_training_rows_and_split_by_class(write):
    task = task_from_file(write(IRISES), "species", (1, 2))
    assert task.class_names == ("setosa", "virginica")
    assert task.feature_names == ("width", "length")
    assert task.x_train.shape == (2, 16, 2) and task.x_train.dtype == np.float32
    np.testing.assert_allclose(task.x_train.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(task.x_train.std(axis=1), 1, atol=1e-6)
    assert abs(task.x_test.mean(axis=1)).max() > 1e-3
    assert np.bincount(task.y_test[0]).tolist() == [2, 2]
    assert not np.array_equal(task.x_train[0], task.x_train[1])
    # Odd widths are setosas: the labels have stayed with their rows.
    column = np.concatenate([task.x_train[0], task.x_test[0]])[:, 0]
    widths = np.argsort(np.argsort(column))
    assert np.array_equal(widths % 2 == 0, np.concatenate([task.y_train[0], task.y_test[0]]) == 1)


def test_the_scale_leads_back_to_the_units_of_the_data(write):
    task = task_from_file(write(IRISES), "species", (1, 2))
    for k in (0, 1):
        mean, deviation = task.scale(k)
        x = np.concatenate([task.x_train[k], task.x_test[k]])
        widths, lengths = np.sort(x * deviation + mean, axis=0).T
        np.testing.assert_allclose(widths, range(20), atol=1e-4)
        np.testing.assert_allclose(lengths, np.arange(20) ** 2, atol=1e-3)
    mean, deviation = rings_and_clusters((1,)).scale(0)
    assert mean.tolist() == [0, 0] and deviation.tolist() == [1, 1]


@pytest.mark.parametrize("scale", [1.0, 1e308, 1e-300, 5e-324, -1e308])
def test_new_rows_are_standardised_as_the_training_rows_were(write, scale):
    table = np.array([[i % 5 / 4 * scale, i * 0.1 + 7, 0.1] for i in range(40)])
    rows = "".join(f"{a!r},{b!r},{c!r},{i % 2}\n" for i, (a, b, c) in enumerate(table.tolist()))
    task = task_from_file(write("a,b,c,y\n" + rows), "y", (3,))
    found = standardised_as(table, *task.scale(0))
    assert found.dtype == np.float32 and np.isfinite(found).all()
    ours = {row.tobytes() for row in found}
    theirs = {row.tobytes() for row in np.concatenate([task.x_train[0], task.x_test[0]])}
    assert ours == theirs or scale == 5e-324  # whose mean no float can be
    far = standardised_as(np.array([[1e308, -1e308, 1e308]]), *task.scale(0))
    assert np.isfinite(far).all() and far[0, 1] == -1e6


HOLES = "a,b,y\n" + "".join(
    f"{i if i % 4 else '?'},{'NA' if i == 3 else i * i},{i % 2}\n" for i in range(1, 41)
)


@pytest.mark.parametrize("impute", ["mean", "median"])
def test_missing_values_become_what_the_training_rows_say(write, impute):
    task = task_from_file(write(HOLES), "y", (0, 1, 2), impute)
    whole = task_from_file(write(HOLES.replace("?", "-99").replace("NA", "-99")), "y", (0, 1, 2))
    average = {"mean": np.mean, "median": np.median}[impute]
    for k in range(3):
        # The same split without holes says which values are there.
        mean, deviation = whole.scale(k)
        train, test = (np.round(x[k] * deviation + mean, 2) for x in (whole.x_train, whole.x_test))
        fill = [average(column[column > -99]) for column in train.T]
        np.testing.assert_allclose(task.fill[k], fill, rtol=1e-6)
        expected = np.where(train > -99, train, fill), np.where(test > -99, test, fill)
        mean, deviation = task.scale(k)
        np.testing.assert_allclose(mean, expected[0].mean(axis=0), rtol=1e-6)
        for found, wanted in zip((task.x_train[k], task.x_test[k]), expected):
            np.testing.assert_allclose(found, (wanted - mean) / deviation, atol=1e-5)
    assert not np.allclose(task.fill[0], task.fill[1])
    assert task.notes == (
        f"11 of 80 values are missing: the {impute} of their column's training rows stands for "
        "them.",
    )
    assert task_from_file(write(IRISES), "species", (0,), impute).notes == ()


@pytest.mark.parametrize("word", ["", "?", "NA", "n/a", "NaN", "Null", " none "])
def test_words_for_what_is_missing(write, word):
    rows = "".join(f"{i},{i % 2}\n" for i in range(20))
    task = task_from_file(write(f"a,y\n{word},0\n{rows}"), "y", (0,), "mean")
    assert task.notes[0].startswith("1 of 21 values are missing")
    with pytest.raises(DataError, match="line 2: the target 'y' is missing"):
        task_from_file(write(f"a,y\n1,{word}\n{rows}"), "y", (0,))


def test_missing_values_in_an_npz_and_a_column_of_nothing_else(tmp_path, write):
    path = tmp_path / "data.npz"
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    x[3, 1] = np.nan
    np.savez(path, x=x, y=y)
    with pytest.raises(DataError, match=r"x\[3, 1\] is nan: --impute mean or --impute median"):
        task_from_file(path, None, (0,))
    assert np.isfinite(task_from_file(path, None, (0,), "mean").x_train).all()
    x[4, 1] = np.inf
    np.savez(path, x=x, y=y)
    with pytest.raises(DataError, match=r"x\[4, 1\] is inf$"):
        task_from_file(path, None, (0,), "mean")
    rows = "".join(f"{i},{'5' if i == 7 else ''},{i % 2}\n" for i in range(40))
    says = r"split of seed \d+: no training row has a value in column 'b': leave it out"
    with pytest.raises(DataError, match=says):
        task_from_file(write("a,b,y\n" + rows), "y", range(12), "mean")
    with pytest.raises(DataError, match="no training row has a value in column 'b'"):
        task_from_file(write("a,b,y\n" + rows.replace(",5,", ",,")), "y", (0,), "median")


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_column_that_numbers_the_rows_is_named(write, name, first):
    rows = [f"{i + first},{i * i},{'u' if i < 10 else 'v'}" for i in range(20)]
    says = f"The column '{name}' only numbers the rows, as pandas does, and may give away their"

    def notes(rows, name):
        return task_from_file(write("\n".join([f"{name},a,y", *rows])), "y", (0,)).notes

    assert [note.startswith(says) for note in notes(rows, name)] == [True]
    assert [note.startswith(says) for note in notes(rows[::-1], name)] == [True]
    assert notes(["7,0,u", *rows[1:]], name) == notes(rows, "number") == ()


def test_labels_that_are_numbers_stand_in_their_order(write):
    rows = "".join(f"{i % 3 * 9 + 2};{i}.5\n" for i in range(12))
    task = task_from_file(write("\ufeffdigit;a\n" + rows + "\n  \n"), "digit", (0,))
    assert task.class_names == ("2", "11", "20")


def test_pictures_leave_a_tenth_around_all_points():
    points = np.array([[0, 3], [10, 3], [5, 3]])
    assert extent(points) == pytest.approx((-1, 11, 2.9, 3.1))  # or a tenth of a deviation


def test_a_constant_feature_becomes_zero(write):
    rows = "".join(f"0.1,{i},{i % 2}\n" for i in range(10))
    task = task_from_file(write("a,b,y\n" + rows), "y", (0,))
    np.testing.assert_allclose(task.x_train[..., 0], 0, atol=1e-9)
    assert np.isfinite(task.x_test).all()


@pytest.mark.parametrize(
    ("text", "target", "complaint"),
    [
        ("", "y", "data.csv is empty"),
        ("a,y\n", "y", "has a header, but no rows"),
        ("a,y\n1,u\n2,v\n", "z", "has no column 'z'; its columns are a, y"),
        ("a,y\n1,u\n2,v\n", None, "say with --target which column holds the classes"),
        ("a,a,y\n1,2,u\n", "y", "two columns are called 'a'"),
        (f"{LONG}a{LONG},{LONG}b{LONG},y\n1,2,u\n", "y", "two columns are called 'nn"),
        ("a,y\n" + f"1,{LONG}a{LONG}\n2,{LONG}b{LONG}\n" * 2, "y", "two classes are called 'nn"),
        ("y\nu\nv\n", "y", "has no other column than the target 'y'"),
        ("a,y\n1,u\n,u\n", "y", "the value is missing: --impute mean or --impute median would"),
        ("a,y\n1,u\nNaN,u\n", "y", "line 3, column 'a': the value is missing"),
        ("a,y\n1,u\n2,\n", "y", "line 3: the target 'y' is missing"),
        ("a,y\n1,u\nred,v\n", "y", "line 3, column 'a': 'red' is not a number"),
        ("a,y\n1,u\ninf,v\n", "y", "line 3, column 'a': 'inf' is not a finite number"),
        ("a,y\n1,u\n1_0,v\n", "y", "line 3, column 'a': '1_0' is not a number"),
        ("a,y\n1,u\n2\0,v\n", "y", r"line 3, column 'a': '2\x00' is not a number"),
        ("a,y\n1,u\n2\n", "y", "line 3: 1 cells, but the header has 2"),
        ("a,y\n1,u\n2,u\n", "y", "every row is of class u"),
        ("a,y\n1,u\n2,u\n3,v\n", "y", "class v has a single row"),
        ("a;y\n1;u\n-1,50;v\n", "y", "'-1,50' is not a number: write a decimal point, not a"),
        ('a,y\n"1.234,5",u\n', "y", "'1.234,5' is not a number: write a decimal point, not a"),
        ("\n \na,y\n1,u\n\n1,z,v\n", "y", "line 6: 3 cells"),
        (b"a,y\n\xff\xfe,u\n", "y", "is no UTF-8 text: line 2 has the byte 0xff; save it as"),
        (
            b"\n\na,y\n" + b"1,\xc3\xbc\n" * 96 + b"1,\xfc\n" * 9000,
            "y",
            "line 100 has the byte 0xfc",
        ),
        (b"a,y\n1,\xe2\x82", "y", "line 2 has the byte 0xe2"),
        (IRISES.encode("utf-16"), "species", "is no UTF-8 text"),
        (f"a,y\n1,u\n{'1' * 200_000},v\n", "y", "line 3: field larger than field limit"),
        ("a" * (1 << 24), "y", "a line of more than 16,777,216 characters is no table"),
        ('a,y\n1,"u\n2,v\n3,w\n', "y", "unexpected end of data: is a quotation mark unbalanced?"),
        ('a,y\n1,"u\n2,v\n3,w"\n', "y", "a cell goes on from line 2 to 4: is a quotation mark"),
        ("a,y\n" + "".join(f"1,{i}\n" for i in range(1001)), "y", "more than 1,000 classes"),
        (",".join(f"c{i}" for i in range(999)), "y", "c10, c11, ... (999 in all)"),
        ("a\x1b[2J,y\nx,u\n", "y", r"line 2, column 'a\x1b[2J': 'x' is not a number"),
        (f"a,{'y' * 5000}\n1,u\n", "y", "yyy…"),
    ],
)
def test_a_csv_that_cannot_be_learnt_from(write, text, target, complaint):
    with pytest.raises(DataError) as raised:
        task_from_file(write(text), target, (0,))
    assert complaint in str(raised.value)
    assert str(raised.value).isprintable() and len(str(raised.value)) <= 300


def test_names_are_printed_without_control_characters_and_not_for_ever(write):
    text = "a\x1b[31m,b,y\n" + f"1,2,\x1b[2J\n3,4,{'z' * 100_000}\n" * 2
    task = task_from_file(write(text, "d\x07.csv"), "y", (0,))
    assert task.name == r"d\x07.csv" and task.feature_names == (r"a\x1b[31m", "b")
    assert task.class_names == (r"\x1b[2J", "z" * 39 + "…" + "z" * 20)


@pytest.mark.parametrize("scale", [1e308, 1e-300, 5e-324, 2.0**-30, -1e308])
def test_a_column_is_standardised_whatever_its_size(write, scale):
    def table(scale):
        rows = "".join(f"{i % 5 / 4 * scale!r},{i},{i % 2}\n" for i in range(40))
        return task_from_file(write("a,b,y\n" + rows), "y", (0, 1))

    plain, scaled = table(1.0), table(scale)
    sign = np.sign(scale)
    if scale == 5e-324:  # 0.25 of it is 0
        assert np.isfinite(scaled.x_train).all() and scaled.x_train[..., 0].std() > 0.9
    elif scale == 2.0**-30:
        assert np.array_equal(scaled.x_train, plain.x_train)
    else:
        np.testing.assert_allclose(scaled.x_train[..., 0] * sign, plain.x_train[..., 0], rtol=1e-6)
        np.testing.assert_allclose(scaled.x_test[..., 0] * sign, plain.x_test[..., 0], rtol=1e-6)
    assert np.array_equal(scaled.x_train[..., 1], plain.x_train[..., 1])


def test_what_lies_far_from_the_training_rows_stays_finite(write):
    rows = "".join(f"{1e308 if i == 7 else 1e-9 * (i % 3)},{i % 2}\n" for i in range(40))
    task = task_from_file(write("a,y\n" + rows), "y", range(12))
    far = np.abs(task.x_test).max(axis=(1, 2))
    assert sorted({*far[far > 10]}) == [1e6]  # in some replicas that row is for testing
    assert np.isfinite(task.x_train).all() and task.x_train.dtype == np.float32


def test_many_replicas_take_little_more_memory_than_one(tmp_path, monkeypatch):
    path = tmp_path / "data.npz"
    x = np.random.default_rng(0).normal(size=(2000, 50))
    np.savez(path, x=x, y=np.arange(2000) % 2)

    def peak(replicas):
        tracemalloc.start()
        task_from_file(path, None, range(replicas))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # what is imported on the way
    monkeypatch.setattr(own_data, "LITTLE", 0)
    # A replica is the order of its rows, 8 bytes each where a copy takes 200; these are held twice.
    assert peak(20) < 1.2 * peak(1) + 20 * 2000 * 2 * 8


@pytest.mark.parametrize("impute", [None, "median"])
def test_rows_that_are_made_when_they_are_used_are_those_of_an_array(tmp_path, monkeypatch, impute):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 35)) * 1000.0 ** rng.integers(-3, 3, 35)
    if impute:
        x[rng.random(x.shape) < 0.1] = np.nan
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(40) % 2)
    whole = task_from_file(tmp_path / "data.npz", None, range(3), impute)
    monkeypatch.setattr(own_data, "LITTLE", 0)
    lazy = task_from_file(tmp_path / "data.npz", None, range(3), impute)
    assert type(whole.x_train) is np.ndarray and whole.x_train.dtype == np.float32
    for name in ("x_train", "x_test"):
        array, rows = getattr(whole, name), getattr(lazy, name)
        assert isinstance(rows, LazyRows) and rows.dtype == array.dtype and len(rows) == len(array)
        order = np.array([3, 0, 2])
        for index in (
            ...,
            1,
            slice(1, 3),
            [2, 0],
            (slice(None), slice(2, 5)),
            (slice(None), order),
        ):
            assert rows[index].shape == array[index].shape and rows[index].ndim == array[index].ndim
            np.testing.assert_array_equal(rows[index], array[index])
        np.testing.assert_array_equal(rows[1:][1][order], array[2, order])
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(rows)), array)
        few = resuming.some(Entry("mlp", lazy, Recipe((0, 1, 2))), [2, 0])
        np.testing.assert_array_equal(getattr(few.task, name), array[[2, 0]])
        np.testing.assert_array_equal(getattr(repeated(lazy, 2), name), [*array, *array])
    assert whole.extent == lazy.extent and np.array_equal(whole.deviation, lazy.deviation)


def test_what_is_found_of_a_column_does_not_depend_on_the_others(tmp_path):
    """They are looked at some at a time, and give what all at once would."""
    x = np.random.default_rng(0).exponential(size=(300, 35))
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(300) % 2)
    task = task_from_file(tmp_path / "data.npz", None, (5,))
    train = train_test_split(np.arange(300), np.arange(300) % 2, 0.2, rng=seeds.data(5))[0]
    np.testing.assert_array_equal(task.mean[0], x[train].mean(axis=0))
    np.testing.assert_array_equal(task.deviation[0], x[train].std(axis=0))


def test_files_that_cannot_be_read(tmp_path, write):
    with pytest.raises(DataError, match=r"cannot read .*none\.csv: No such file"):
        task_from_file(tmp_path / "none.csv", "y", (0,))
    with pytest.raises(DataError, match="cannot read"):
        task_from_file(tmp_path, "y", (0,))
    with pytest.raises(DataError, match=r"cannot read .*none\.npz: No such file"):
        task_from_file(tmp_path / "none.npz", None, (0,))
    for name in ("pipe.csv", "pipe.npz"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataError, match="a pipe or a device, not a file"):
            task_from_file(tmp_path / name, None, (0,))
    with pytest.raises(DataError, match="a pipe or a device, not a file"):
        task_from_file("/dev/zero", "y", (0,))


def test_npz(tmp_path):
    path = tmp_path / "data.npz"
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.exponential(size=(20, 3)), y=np.arange(20) % 4)
    task = task_from_file(path, None, (0,))
    assert task.x_train.shape == (1, 16, 3)
    assert task.class_names == ("0", "1", "2", "3")
    assert task.feature_names == ("x1", "x2", "x3")
    found = np.concatenate([task.x_train[0], task.x_test[0]])
    assert (found.max(axis=0) > 1.2 * -found.min(axis=0)).all()  # still skewed to the right
    with pytest.raises(DataError, match="--target is for CSV files"):
        task_from_file(path, "y", (0,))
    again = task_from_file(path.rename(tmp_path / "DATA.NPZ"), None, (0,))
    assert np.array_equal(again.x_train, task.x_train)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": np.zeros((4, 2))}, "lacks y; its arrays: x"),
        ({"x": np.zeros(4), "y": np.zeros(4, int)}, r"x must be \(N, D\)"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3, int)}, r"not \(4, 2\) and \(3,\)"),
        ({"x": np.full((4, 2), np.nan), "y": np.zeros(4, int)}, r"x\[0, 0\] is nan"),
        ({"x": np.full((4, 2), np.longdouble("1e400")), "y": np.zeros(4, int)}, "is inf"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(4)}, "y must hold integers or text, not float64"),
        ({"x": np.full((4, 2), "1"), "y": np.zeros(4, int)}, "x must hold numbers, not <U1"),
        ({"x": np.zeros((4, 2), complex), "y": np.zeros(4, int)}, "x must hold numbers, not comp"),
        ({"x": np.array([{}]), "y": np.zeros(1, int)}, "holds no plain arrays"),
    ],
)
def test_an_npz_that_cannot_be_learnt_from(tmp_path, arrays, complaint):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=complaint):
        task_from_file(path, None, (0,))


def header(shape, dtype="<f8"):
    file = io.BytesIO()
    description = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, description)
    return file.getvalue()


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        (header((4, 2)) + bytes(10), r"holds no plain arrays: x .*\(4, 2\), in 10 bytes"),
        (header((-4, 2)) + bytes(64), "holds no plain arrays"),
        (header((10**12, 20)) + bytes(64), "holds no plain arrays: x .*, in 64 bytes"),
        (b"\x93NUMPY\x01\x00\x76\x00" + b"(" * 118, "holds no plain arrays"),
        (header((4, 2)) + bytes(200_000_000), "unpacks to 200,000,128 bytes, from"),
    ],
)
def test_hostile_archives(tmp_path, x, complaint):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", header((4,), "<i8") + bytes(32))
    with pytest.raises(DataError, match=complaint):
        task_from_file(path, None, (0,))


def test_broken_and_encrypted_archives(tmp_path, write):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        broken = bytearray(whole)
        broken[place] ^= 255
        # Sometimes what is broken is not needed.
        with contextlib.suppress(DataError):
            task_from_file(write(bytes(broken), "data.npz"), None, (0,))
    for end in (10, len(whole) // 2, len(whole) - 1):
        with pytest.raises(DataError):
            task_from_file(write(whole[:end], "data.npz"), None, (0,))
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="x is encrypted"):
        task_from_file(write(bytes(encrypted), "data.npz"), None, (0,))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "no array")
    with pytest.raises(DataError, match="lacks x and y"):
        task_from_file(path, None, (0,))


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_npz(write, content):
    with pytest.raises(DataError, match=r"data\.npz is no \.npz file"):
        task_from_file(write(content, "data.npz"), None, (0,))
