"""Architectures of your own: --with my_model.py, a file that calls `architectures.register`."""

import sys
import traceback
import types
from dataclasses import dataclass
from pathlib import Path

from architectures import ARCHITECTURES
from demos.shell.ending import Refusal
from minigrad.files import require_regular


@dataclass(frozen=True)
class Guest:
    """Such a file as text: it can be pickled, and loaded in another process or machine."""

    path: str
    text: str

    def load(self):
        """Run it as a module, if this process has not yet.

        Raises:
            Refusal: it fails, or registers nothing.
        """
        module = sys.modules.get(self.path)
        if module is not None and module.text == self.text:
            return
        for name, entry in list(ARCHITECTURES.items()):
            if entry.backbone.__module__ == self.path:  # the file has changed since
                del ARCHITECTURES[name]
        before = dict(ARCHITECTURES)
        module = types.ModuleType(self.path)
        module.__file__, module.text = self.path, self.text
        sys.modules[self.path] = module  # where dataclasses and pickle look for its classes
        try:
            exec(compile(self.text, self.path, "exec"), vars(module))
            if before == ARCHITECTURES:
                raise Refusal(f"{self.path} registers nothing: architectures.register(name, class)")
        except Refusal:
            del sys.modules[self.path]
            raise
        except (Exception, SystemExit) as error:
            del sys.modules[self.path]
            lines = [getattr(error, "lineno", None)]  # of a SyntaxError
            frames = traceback.extract_tb(error.__traceback__)
            lines += [frame.lineno for frame in frames if frame.filename == self.path]
            what = f"{type(error).__name__}: {error}"
            raise Refusal(f"{self.path}, line {lines[-1]}: {what}") from error


def guest(path):
    """The Guest in a file.

    Raises:
        Refusal: it cannot be read.
    """
    return Guest(str(Path(path).resolve()), source(path))


def source(path):
    """The text of a Python file.

    Raises:
        Refusal: it cannot be read.
    """
    try:
        require_regular(path)
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Refusal(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise Refusal(f"{path} is no Python file: {error}") from None
