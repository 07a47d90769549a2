"""Instruction sets: which one this machine has, and which number types run fast and exactly on one.

It knows no model. The types are the same for all layers.
"""

import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from edgespeech_runtime.choices import EngineName

from edgespeech.choices import Target
from edgespeech.engines import ENGINES
from edgespeech_calib.quantization.options import Types

CPUINFO = Path("/proc/cpuinfo")
ARM = ("arm", "aarch64")  # how names of machines begin
VNNI = {"avx512_vnni", "avx512vnni", "avx_vnni", "avxvnni"}  # as Linux and macOS spell them

NAMES: dict[Target, str] = {
    "x86-vnni": "x86 with VNNI",
    "x86-avx2": "x86 without VNNI",
    "arm": "ARM",
}


def detect() -> Target:
    """Return this machine's target. An x86 system that does not tell its instructions counts as one without VNNI:
    what is made for that is right everywhere.
    """
    machine = platform.machine().lower()
    if machine.startswith(ARM):
        return "arm"
    return "x86-vnni" if VNNI & set(_features(platform.system())) else "x86-avx2"


def _features(system: str) -> Iterable[str]:
    """Names of the processor's instructions in lower case; empty where the system does not tell."""
    if system == "Linux" and CPUINFO.is_file():
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.partition(":")[2].lower().split() for line in lines if line.startswith("flags")), [])
    if system == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.leaf7_features"]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.lower().split()
        except (OSError, subprocess.SubprocessError):
            return []
    return []


def types(target: Target, engine: EngineName) -> Types:
    """Return the number types for a target in an engine.

    Signed weights, and on ARM signed activations too. x86 multiplies unsigned by signed numbers: ONNX Runtime turns
    signed activations into unsigned ones when it loads a graph, but only where one product alone takes them; queries,
    keys, values and windows of convolutions it would compute in float (1.31, by its profile). Activations are unsigned
    there from the beginning, with a zero point, which costs no accuracy. OpenVINO takes them unsigned or signed as
    their values are. Without VNNI both engines use an instruction that adds two products of 8 bits in 16: 2 x 255 x 127
    does not fit there, 2 x 255 x 63 does.
    """
    activation: Literal["int8", "uint8"] = "int8" if target == "arm" and ENGINES[engine].signed_on_arm else "uint8"
    if target == "x86-vnni":
        why = "VNNI sums products of unsigned by signed 8 bits in 32, so that weights use all of their 8 bits"
    elif target == "x86-avx2":
        why = (
            "without VNNI two products of 8 bits are summed in 16, which would saturate; weights use 7 of their 8 bits "
            "(reduce_range)"
        )
    else:
        why = "ARM sums products of signed 8 bits in 32 or widens them first, so that weights use all of their 8 bits"
    return Types(activation, "int8", reduce_range=target == "x86-avx2", why=why)
