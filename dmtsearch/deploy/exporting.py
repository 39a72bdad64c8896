"""A bundle as one file for a device: no Python of ours, nothing of the bundle, needed there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dmtsearch.bundles.bundle import MODEL, ModelBundle
from dmtsearch.bundles.traced_graph import Graph, first_line
from dmtsearch.deploy.export_check import Parity, compare
from dmtsearch.deploy.export_formats import FORMATS, Format, choose_format
from dmtsearch.deploy.loading import as_stored, load_bundle
from dmtsearch.errors import DmtSearchError, ExportError, UsageError
from dmtsearch.files import canonical_json, write_atomic
from dmtsearch.notebook import html_view, short_repr

FORMAT = 1
"""Of the note in an exported file."""


@dataclass(frozen=True)
class Export:
    """A file that was written, and what is known of it.

    Attributes:
        file: Where it lies.
        format: `pt2` or `onnx`.
        bytes: Its size.
        parity: How far its answers are from the bundle's.
        facts: The note that it holds: schedule, classes, modalities, inputs with unit and shape,
            outputs, `weights_sha256` of the bundle's model.safetensors, versions.
        notes: As of the bundle.
    """

    file: Path
    format: str
    bytes: int
    parity: Parity
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return short_repr(self, repr(str(self.file)), self.format, f"{self.bytes:,} bytes")

    def _repr_html_(self) -> str:
        facts = {"format": self.format, "bytes": f"{self.bytes:,}"}
        rows = [
            (which, one["name"], one["dtype"], one["shape"])
            for which, key in (("reads", "inputs"), ("answers", "outputs"))
            for one in self.facts[key]
        ]
        columns = ("", "name", "type", "shape")
        return html_view(f"Export {self.file}", facts, columns=columns, rows=rows)

    def as_dict(self) -> dict[str, Any]:
        """As `dmtsearch export --json` prints it."""
        return {
            "file": str(self.file),
            "format": self.format,
            "bytes": self.bytes,
            "samples_compared": self.parity.samples,
            "largest_difference": self.parity.largest,
            **{name: value for name, value in self.facts.items() if name != "format"},
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def export_bundle(
    bundle: str | Path | ModelBundle,
    format: str = "pt2",
    out: str | Path | None = None,
) -> Export:
    """Write a bundle as one graph, from samples as stored to class probabilities.

    The graph is in eval mode and float32, for batches of one sample or more, with normalisation
    (and resizing, where the model has a size) inside:

    * One model reads `samples`, [N, C, H, W] or [N, features]: uint8 of 0 to 255 where its data
      was stored so, else float32 as stored. It gives `probabilities`, float32 [N, classes].
      Unlike the bundle it refuses nothing: a sample that holds NaN gets a meaningless answer.
    * A selector reads float32 by the name of each modality (images that were stored as uint8:
      divided by 255, as for the bundle). It gives `probabilities`, `trust` [N, modalities], and
      `believed`, the position of the modality that decided, int64 [N]. A modality is missing in
      a sample that holds NaN or infinity there: the others decide, by the bundle's rule. It is
      an input still: give NaN for a sensor that is not there. Where every modality is missing,
      classes are equally probable and all trust is 0.

    A pt2 program takes one tensor and returns one; of a selector it takes and returns a dict. In
    ONNX inputs and outputs have these names. The file's note, JSON, says all of this: the extra
    file `dmtsearch.json` of pt2, the property `dmtsearch` of ONNX.

    Before it takes its name, the file is loaded again and answers six made samples, in batches
    of 1 and 5, as the bundle does: to 1e-4 of a probability, and to 5 % of a small one.

    Args:
        bundle: What `dmtsearch train` wrote: its folder, or the bundle loaded (as it must be
            where a module was given from Python). What the folder holds is exported.
        format: `pt2` (torch.export) or `onnx`, which needs `pip install 'dmtsearch[onnx]'`.
        out: The file; `model.pt2` or `model.onnx` in the bundle's folder, if None. A file is
            written over only where it is an export of the same model.

    Raises:
        UsageError: An unknown format, a missing package, or a file that cannot be named so.
        BundleError: No bundle, a damaged one, or a model whose code or outputs are not those
            that were trained.
        ExportError: The model cannot be made a graph, the file answers otherwise or cannot be
            written. Nothing is left behind.
    """
    chosen = choose_format(format)
    loaded = load_bundle(bundle) if isinstance(bundle, str | Path) else bundle
    file = loaded.folder / f"model{chosen.suffix}" if out is None else Path(out)
    _refuse_name(file, format)
    fresh = as_stored(loaded)
    graph = fresh.graph()
    facts = _facts(fresh, graph)
    _refuse_other(file, chosen, facts)
    try:
        data = chosen.encode(graph.trace(), graph, json.dumps(facts, ensure_ascii=False))
    except DmtSearchError:
        raise
    except Exception as error:  # an operation that the format lacks; torch has no one error for it
        others = " or ".join(name for name in FORMATS if name != format)
        raise ExportError(
            f"the model cannot be written as {format} ({first_line(error)}); try format {others}"
        ) from error
    parity: list[Parity] = []
    try:
        write_atomic(
            file, data, check=lambda path: parity.append(_verify(path, chosen, fresh, graph))
        )
    except ExportError as error:
        raise ExportError(f"{file}: not written: {error}") from error
    except OSError as error:
        raise ExportError(
            f"{file}: cannot be written ({error.strerror or error}); nothing was left there: "
            "make room, or give another file: --out FILE"
        ) from error
    return Export(file, format, len(data), parity[0], facts, loaded.notes)


def _verify(path: Path, chosen: Format, bundle: ModelBundle, graph: Graph) -> Parity:
    """Answer by the file as it was written."""
    try:
        run = chosen.load(path.read_bytes(), graph)
    except OSError:
        raise
    except Exception as error:  # whatever the other runtime raises
        raise ExportError(f"the exported file does not load again: {first_line(error)}") from error
    return compare(bundle, graph, run)


def _facts(bundle: ModelBundle, graph: Graph) -> dict[str, Any]:
    info = bundle.info
    inputs = [
        {
            "name": one.name,
            "modality": one.view.modality,
            "dtype": str(one.dtype).removeprefix("torch."),
            "shape": ["batch", *(side or "any" for side in one.shape)],
            "unit": one.unit,
        }
        for one in graph.inputs
    ]
    outputs = [
        {
            "name": name,
            "dtype": "int64" if name == "believed" else "float32",
            "shape": ["batch", *shape],
        }
        for name, shape in graph.outputs.items()
    ]
    return {
        "format": FORMAT,
        "schedule": info["name"],
        "stage": info["deliver"],
        "seed": info["seed"],
        "classes": list(bundle.classes),
        "modalities": list(bundle.modalities) if graph.several else [],
        "inputs": inputs,
        "outputs": outputs,
        "missing": "NaN in any value of a sample" if graph.several else None,
        "weights_sha256": info["checksums"][MODEL],
        "versions": {"dmtsearch": version("dmtsearch"), "torch": torch.__version__},
    }


def _refuse_name(file: Path, format: str) -> None:
    suffix = FORMATS[format].suffix
    if file.is_dir():
        raise UsageError(f"{file}: a folder; name a file in it: --out {file / 'model'}{suffix}")
    if file.suffix != suffix:
        meant = [name for name, other in FORMATS.items() if other.suffix == file.suffix]
        raise UsageError(
            f"{file}: a file of format {format} ends with {suffix}; write --out "
            f"{file.with_suffix(suffix)}" + "".join(f", or --format {name}" for name in meant)
        )
    if not file.parent.is_dir():
        raise UsageError(
            f"{file}: there is no folder {file.parent}; make it, or give another file: --out FILE"
        )


def _refuse_other(file: Path, chosen: Format, facts: Mapping[str, Any]) -> None:
    """Refuse to write over anything but an export of the same model by the same format."""
    if not file.exists():
        return
    advice = "nothing is overwritten: give another file with --out FILE, or remove it"
    try:
        note = chosen.read_note(file.read_bytes())
        there = json.loads(note) if note else None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror}); {advice}") from error
    except ValueError:
        there = None
    if not isinstance(there, dict):
        raise UsageError(f"{file} is there already, and no export that dmtsearch knows; {advice}")
    if _identity(there) != _identity(facts):
        raise UsageError(
            f"{file} is the export of another model (schedule {there.get('schedule')!r}, "
            f"weights {str(there.get('weights_sha256'))[:12]}); {advice}"
        )


def _identity(facts: Mapping[str, Any]) -> str:
    return canonical_json({name: value for name, value in facts.items() if name != "versions"})
