"""Pictures that stand for themselves, drawn one after the other into a folder."""

from matplotlib import rc_context

from demos.pictures.palette import STYLE
from demos.shell.output import Output


def draw(pictures, out):
    """Draw each of `pictures`, {name: (title, function)}, as name.png; return where they are seen.

    The functions return (a figure, its key numbers in a line), which is printed after the title.
    Pictures of earlier runs stay, and so do the first ones of a run that is stopped.
    """
    files = {name: f"{name}.png" for name in pictures}
    with Output(out, [*files.values()], keep_others=True) as output:
        unfinished = output.folder / "unfinished.png"
        try:
            for name, (title, picture) in pictures.items():
                with rc_context(STYLE):
                    figure, numbers = picture()
                    figure.draw_without_rendering()  # axes that are laid out may get other ticks
                    figure.savefig(unfinished)
                unfinished.rename(output.folder / files[name])
                print(f"{title}: {numbers}", flush=True)
        finally:
            unfinished.unlink(missing_ok=True)
            if any(output.folder.iterdir()):
                shown = output.publish()
    return shown
