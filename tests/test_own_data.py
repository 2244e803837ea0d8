"""Files of one's own: what is read, and what is refused in one line."""

import numpy as np
import pytest

from demos.comparison.own_data import DataError, task_from_file

IRISES = "width,length,species\n" + "".join(
    f"{i},{i * i},{'setosa' if i % 2 else 'virginica'}\n" for i in range(20)
)


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


def test_labels_that_are_numbers_stand_in_their_order(write):
    rows = "".join(f"{i % 3 * 9 + 2};{i}.5\n" for i in range(12))
    task = task_from_file(write("\ufeffdigit;a\n" + rows), "digit", (0,))
    assert task.class_names == ("2", "11", "20")


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
        ("y\nu\nv\n", "y", "has no other column than the target 'y'"),
        ("a,y\n1,u\n,u\n", "y", "line 3, column 'a': the value is missing"),
        ("a,y\n1,u\nNaN,u\n", "y", "line 3, column 'a': the value is missing"),
        ("a,y\n1,u\n2,\n", "y", "line 3: the target 'y' is missing"),
        ("a,y\n1,u\nred,v\n", "y", "line 3, column 'a': 'red' is not a number"),
        ("a,y\n1,u\ninf,v\n", "y", "line 3, column 'a': 'inf' is not a finite number"),
        ("a,y\n1,u\n2\n", "y", "line 3: 1 cells, but the header has 2"),
        ("a,y\n1,u\n2,u\n", "y", "every row is of class u"),
        ("a,y\n1,u\n2,u\n3,v\n", "y", "class v has a single row"),
        (b"a,y\n\xff\xfe,u\n", "y", "is no UTF-8 text"),
    ],
)
def test_a_csv_that_cannot_be_learnt_from(write, text, target, complaint):
    with pytest.raises(DataError) as raised:
        task_from_file(write(text), target, (0,))
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_cannot_be_read(tmp_path, write):
    with pytest.raises(DataError, match=r"cannot read .*none\.csv: No such file"):
        task_from_file(tmp_path / "none.csv", "y", (0,))
    with pytest.raises(DataError, match="cannot read"):
        task_from_file(tmp_path, "y", (0,))
    with pytest.raises(DataError, match=r"cannot read .*none\.npz: No such file"):
        task_from_file(tmp_path / "none.npz", None, (0,))


def test_npz(tmp_path):
    path = tmp_path / "data.npz"
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.normal(size=(20, 3)), y=np.arange(20) % 4)
    task = task_from_file(path, None, (0,))
    assert task.x_train.shape == (1, 16, 3)
    assert task.class_names == ("0", "1", "2", "3")
    assert task.feature_names == ("x1", "x2", "x3")
    with pytest.raises(DataError, match="--target is for CSV files"):
        task_from_file(path, "y", (0,))


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": np.zeros((4, 2))}, "lacks y; its arrays: x"),
        ({"x": np.zeros(4), "y": np.zeros(4, int)}, r"x must be \(N, D\)"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3, int)}, r"not \(4, 2\) and \(3,\)"),
        ({"x": np.full((4, 2), np.nan), "y": np.zeros(4, int)}, r"x\[0, 0\] is nan"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(4)}, "y integers or text, not float64 and float64"),
        ({"x": np.array([{}]), "y": np.zeros(1, int)}, "holds no plain arrays"),
    ],
)
def test_an_npz_that_cannot_be_learnt_from(tmp_path, arrays, complaint):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=complaint):
        task_from_file(path, None, (0,))


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_npz(write, content):
    with pytest.raises(DataError, match=r"data\.npz is no \.npz file"):
        task_from_file(write(content, "data.npz"), None, (0,))
