"""The formats of an export: how a traced graph becomes a file's bytes, and how they run again.

Each holds the same note, JSON text: in a pt2 file as the extra file `dmtsearch.json`, in an ONNX
file as the property `dmtsearch`.
"""

import io
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from dmtsearch.bundles.traced_graph import Graph
from dmtsearch.errors import ExportError, UsageError, nearest

NOTE, NOTE_FILE = "dmtsearch", "dmtsearch.json"

Run = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
"""Answers samples by input: the outputs by name."""


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        suffix: Of its files.
        packages: What it needs beyond dmtsearch's own requirements.
        encode: The bytes of a graph, with a note.
        load: What runs such bytes.
        read_note: The note in such bytes; None where they are something else.
    """

    suffix: str
    packages: tuple[str, ...]
    encode: Callable[[ExportedProgram, Graph, str], bytes]
    load: Callable[[bytes, Graph], Run]
    read_note: Callable[[bytes], str | None]


def _encode_pt2(program: ExportedProgram, graph: Graph, note: str) -> bytes:
    out = io.BytesIO()
    torch.export.save(program, out, extra_files={NOTE_FILE: note})
    return out.getvalue()


def _load_pt2(data: bytes, graph: Graph) -> Run:
    module = torch.export.load(io.BytesIO(data)).module()

    def run(samples: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            found = module(*graph.arguments(samples))
        return dict(found) if graph.several else {"probabilities": found}

    return run


def _pt2_note(data: bytes) -> str | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                if name.endswith(f"/extra/{NOTE_FILE}"):
                    return archive.read(name).decode()
    except (zipfile.BadZipFile, UnicodeDecodeError):
        pass
    return None


def _encode_onnx(program: ExportedProgram, graph: Graph, note: str) -> bytes:
    with _quiet_export():
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=[one.name for one in graph.inputs],
            output_names=list(graph.outputs),
            dynamic_shapes=graph.dynamic_shapes(),
        )
    assert made is not None, "it gives a program where dynamo is on"
    for node in made.model.graph:
        node.metadata_props.clear()  # how torch came to it: as large as a small model
    made.model.metadata_props[NOTE] = note
    try:
        data: bytes = made.model_proto.SerializeToString()
    except ValueError as error:
        raise ExportError(
            f"the model does not fit in one onnx file, which holds up to 2 GB ({error}); "
            "export it as pt2"
        ) from error
    return data


@contextmanager
def _quiet_export() -> Iterator[None]:
    with warnings.catch_warnings():
        # Inputs that share their batch share its name, which is what is wanted.
        warnings.filterwarnings("ignore", message="# The axis name: batch will not be used")
        yield


def _load_onnx(data: bytes, graph: Graph) -> Run:
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(samples: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = session.run(
            list(graph.outputs), {name: x.contiguous().numpy() for name, x in samples.items()}
        )
        return {
            name: torch.from_numpy(value) for name, value in zip(graph.outputs, found, strict=True)
        }

    return run


def _onnx_note(data: bytes) -> str | None:
    onnx: Any = import_module("onnx")
    errors = (import_module("google.protobuf.message").DecodeError,)
    try:
        model = onnx.load_model_from_string(data)
    except errors:
        return None
    return next((entry.value for entry in model.metadata_props if entry.key == NOTE), None)


FORMATS: Mapping[str, Format] = {
    "pt2": Format(".pt2", (), _encode_pt2, _load_pt2, _pt2_note),
    "onnx": Format(
        ".onnx", ("onnx", "onnxscript", "onnxruntime"), _encode_onnx, _load_onnx, _onnx_note
    ),
}


def choose_format(name: str) -> Format:
    """Return a format by name, where it can be used here.

    Raises:
        UsageError: There is no such format, or a package that it needs is not installed.
    """
    if name not in FORMATS:
        raise UsageError(f"no format {name!r}{nearest(name, FORMATS)}")
    missing = [package for package in FORMATS[name].packages if not _importable(package)]
    if missing:
        raise UsageError(
            f"format {name} needs {' and '.join(missing)}, not to be imported here: "
            "pip install 'dmtsearch[onnx]', or export as pt2, which needs nothing more"
        )
    return FORMATS[name]


def _importable(package: str) -> bool:
    try:
        import_module(package)
    except ImportError:
        return False
    return True
