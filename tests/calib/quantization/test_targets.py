"""Instruction sets: what a machine says of itself, and the number types that follow."""

import subprocess
from typing import get_args

import pytest
from edgespeech_calib.quantization import targets
from edgespeech_calib.quantization.targets import detect, types

from edgespeech.choices import Target


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """`machine("x86_64", "Linux", "fpu avx2")`: what `platform` and /proc/cpuinfo say from here on."""

    def become(name, system="Linux", flags=None):
        monkeypatch.setattr(targets.platform, "machine", lambda: name)
        monkeypatch.setattr(targets.platform, "system", lambda: system)
        file = tmp_path / "cpuinfo"
        if flags is not None:
            file.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}\n")
        monkeypatch.setattr(targets, "CPUINFO", file)

    return become


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("x86_64", "fpu sse2 avx2 avx512f avx512_vnni", "x86-vnni"),
        ("x86_64", "fpu avx2 avx_vnni", "x86-vnni"),
        ("x86_64", "fpu sse2 avx2 avx512f avx512vl", "x86-avx2"),
        ("x86_64", "fpu avx2 avx512_vnnix", "x86-avx2"),  # whole names only
        ("x86_64", None, "x86-avx2"),
        ("aarch64", "fp asimd", "arm"),
        ("armv7l", None, "arm"),
    ],
)
def test_linux_lists_its_instructions(machine, name, flags, expected):
    machine(name, flags=flags)
    assert detect() == expected


@pytest.mark.parametrize(("name", "expected"), [("arm64", "arm"), ("ARM64", "arm"), ("AMD64", "x86-avx2")])
def test_systems_that_list_nothing(machine, name, expected):
    machine(name, system="Windows")
    assert detect() == expected


@pytest.mark.parametrize(("said", "expected"), [("AVX2 AVX512VNNI", "x86-vnni"), ("AVX2", "x86-avx2")])
def test_macos_is_asked(machine, monkeypatch, said, expected):
    machine("x86_64", system="Darwin")
    done = subprocess.CompletedProcess([], 0, stdout=said + "\n")
    monkeypatch.setattr(targets.subprocess, "run", lambda *given, **options: done)
    assert detect() == expected


def test_macos_that_does_not_answer(machine, monkeypatch):
    def fail(*given, **options):
        raise FileNotFoundError

    machine("x86_64", system="Darwin")
    monkeypatch.setattr(targets.subprocess, "run", fail)
    assert detect() == "x86-avx2"


def test_this_machine_is_one_of_them():
    assert detect() in get_args(Target)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_weights_keep_all_bits_where_sums_have_room(engine):
    assert not types("x86-vnni", engine).reduce_range
    assert not types("arm", engine).reduce_range
    reduced = types("x86-avx2", engine)
    assert reduced.reduce_range
    assert "saturate" in reduced.why
    # Two products of an unsigned byte and a weight, in a signed sum of 16 bits.
    assert 2 * 255 * 127 > 2**15 - 1 >= 2 * 255 * 63


@pytest.mark.parametrize(("target", "activation"), [("x86-vnni", "uint8"), ("x86-avx2", "uint8"), ("arm", "int8")])
def test_onnx_multiplies_what_the_processor_multiplies(target, activation):
    assert (types(target, "onnx").activation, types(target, "onnx").weight) == (activation, "int8")
