"""OpenVINO IR from ONNX files, several graphs over one file of weights.

An IR is an `.xml` and a `.bin`; the `.xml` says at which offset of the `.bin` each constant lies. Graphs of one model
share their weights, so their constants are pointed at one common `.bin`.
"""

import hashlib
from pathlib import Path
from xml.etree import ElementTree

from edgespeech_runtime.manifest import Precision

from edgespeech_export.errors import ExportError

ALIGNMENT = 64  # bytes


def to_openvino(onnx_file: Path, xml: Path, precision: Precision) -> None:
    """Convert an ONNX file to an IR; writes `xml` and the `.bin` beside it.

    Raises:
        ExportError: OpenVINO refused the graph.
    """
    from edgespeech_runtime.engines.openvino import openvino  # imported as the runtime does, without its telemetry

    try:
        model = openvino.convert_model(onnx_file)
        openvino.save_model(model, xml, compress_to_fp16=precision == "float16")
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ExportError(f"OpenVINO could not convert {onnx_file.name}: {reason}") from error


def share_weights(graphs: list[Path]) -> Path:
    """Point the constants of several IRs at the `.bin` of the first, which takes up what only others have.

    Returns the common `.bin`; those of the other graphs are deleted.
    """
    common = graphs[0].with_suffix(".bin")
    offsets: dict[bytes, int] = {}
    for graph in graphs:
        own = graph.with_suffix(".bin")
        content = own.read_bytes()
        tree = ElementTree.parse(graph)  # noqa: S314  (written by OpenVINO a moment ago)
        for data in tree.iterfind("./layers/layer[@type='Const']/data"):
            start, size = int(data.attrib["offset"]), int(data.attrib["size"])
            constant = content[start : start + size]
            key = hashlib.sha256(constant).digest()
            if own == common:
                offsets.setdefault(key, start)
            elif key not in offsets:
                offsets[key] = _append(common, constant)
            data.set("offset", str(offsets[key]))
        if own != common:
            tree.write(graph, encoding="utf-8", xml_declaration=True)
            own.unlink()
    return common


def _append(path: Path, constant: bytes) -> int:
    with path.open("ab") as stream:
        stream.write(b"\0" * (-stream.tell() % ALIGNMENT))
        offset = stream.tell()
        stream.write(constant)
    return offset
