"""`dmtsearch export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dmtsearch import api
from dmtsearch.cli.common_options import BundleFolder, Json
from dmtsearch.cli.terminal import print_json, print_whole, say

if TYPE_CHECKING:
    from dmtsearch.deploy.exporting import Export


def export(
    folder: BundleFolder,
    format: Annotated[
        str,
        typer.Option(
            metavar="pt2|onnx",
            help="For torch.export.load, or for ONNX runtimes (`dmtsearch[onnx]`).",
        ),
    ] = "pt2",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="DIR/model.pt2 or DIR/model.onnx if none.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a model bundle as one file for a device: samples as stored in, probabilities out.

    Normalisation is inside, batches have any size, and the file says its classes and units. A
    selector reads each modality by name (NaN where it is missing), and also gives the one
    that it selected. The file is compared with the bundle before it takes its name.

    Example: `dmtsearch export out/digits --format onnx`
    """
    found = api.export(folder, format, out)
    if json:
        print_json(found.as_dict())
        return
    say(f"Wrote {found.file}: {found.bytes:,} bytes.")
    for label, key in (("reads", "inputs"), ("answers", "outputs")):
        for one in found.facts[key]:
            say(f"{label:<9} {_described(one)}")
            label = ""
    say(
        f"checked   largest difference of a probability {found.parity.largest:.1g} "
        f"(n = {found.parity.samples} samples)"
    )
    for note in found.notes:
        say(f"note: {note}")
    print_whole(f"Next, where it is to run, in Python: {_next(found)}")


def _described(one: dict[str, Any]) -> str:
    sides = ", ".join(str(side) for side in one["shape"])
    unit = f", {one['unit']}" if "unit" in one else ""
    return f"{one['name']}: {one['dtype']} [{sides}]{unit}"


def _next(found: "Export") -> str:
    file, names = repr(str(found.file)), [one["name"] for one in found.facts["inputs"]]
    given = "{" + ", ".join(f"{name!r}: x" for name in names) + "}"
    if found.format == "onnx":
        return f"onnxruntime.InferenceSession({file}).run(None, {given})"
    return f"torch.export.load({file}).module()({given if found.facts['modalities'] else 'x'})"
