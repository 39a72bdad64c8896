"""`dmtsearch init`."""

from pathlib import Path
from typing import Annotated

import typer

from dmtsearch.cli.terminal import print_whole, say, say_command
from dmtsearch.errors import UsageError
from dmtsearch.human import command_line

MODEL = "by name (ours, torchvision's, timm's) or by a number of parameters: cnn8, resnet18, 50k"


def init(
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder with a sub-folder of images for each class."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Or a data set: digits, fashion_mnist, ...")
    ] = None,
    first: Annotated[
        str | None, typer.Option(metavar="MODEL", help=f"The big model to begin with, {MODEL}.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The small one to deliver, likewise.")
    ] = None,
    hours: Annotated[
        float, typer.Option(help="For the search and the first look of its confirmation, here.")
    ] = 1.0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file; else standard output.")
    ] = None,
) -> None:
    """Write a commented search space for your images and models. Trains and downloads nothing.

    It times a few steps, and sets trials and epochs so that search and confirmation fit.

    Example: `dmtsearch init --data digits --target 2k --hours 0.2 --out mine.yaml`
    """
    from dmtsearch.deploy.new_space import new_space

    if (images is None) == (data is None):
        raise typer.BadParameter("give either --images DIR or --data NAME")
    if out is not None and out.exists():
        raise UsageError(f"{out}: is there already, and stays as it is; give another --out")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}; make it, or give another --out")
    given = {"--images": images, "--data": data, "--first": first, "--target": target}
    words = [word for name, value in given.items() if value is not None for word in (name, value)]
    command = command_line("init", *words, "--hours", f"{hours:g}")
    found = new_space(
        images=images, data=data, first=first, target=target, hours=hours, command=command
    )
    if out is None:
        print_whole(found.text.rstrip("\n"))
        return
    with out.open("x", encoding="utf-8") as file:
        file.write(found.text)
    say(f"Wrote {out}: {found.plan.trials} trials and {found.plan.controls} control arms.")
    say_command("Next: ", "check", out)
