"""`edgespeech devices`: what there is, and whether a bundle works there."""

import json
import sys

import pytest
from edgespeech_runtime.cli.commands import device_check


def test_the_list_names_every_engine(run):
    done = run("devices")
    assert done.stdout.splitlines()[0].split() == ["device", "kind", "library", "driver", "computes", "in", "shapes"]
    for name in ("onnx:CPUExecutionProvider", "openvino:CPU"):
        assert name in done.stdout
    (found,) = [each for each in json.loads(run("devices", "--json").stdout) if each["name"] == "openvino:CPU"]
    assert found["kind"] == "cpu"
    assert "float32" in found["precisions"]
    assert found["static"] is False


def test_a_bundle_is_run_on_each_device(run, bundle):
    (found,) = json.loads(run("devices", "--check", bundle, "--json").stdout)
    assert found["device"] == "onnx:CPUExecutionProvider"
    assert found["works"] is True
    assert found["same_answer"] is True
    assert found["difference"] < 1e-4
    assert min(found["first_load"], found["next_load"], found["real_time_factor"], found["memory"]) > 0
    assert found["error"] is None
    lines = run("devices", "--check", bundle).stdout.splitlines()
    assert "yes" in lines[1]
    assert "the same" in lines[1]


def test_no_bundle(refused, tmp_path):
    assert "no such bundle" in refused("devices", "--check", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; print('Illegal instruction', file=sys.stderr); sys.exit(7)", "exit code 7: Illegal instruction"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code -9"),
        ("print('no JSON')", "exit code 0"),
    ],
)
def test_a_device_that_takes_the_process_down(bundle, monkeypatch, program, said):
    real = device_check.subprocess.run

    def crash(command, **options):
        return real([sys.executable, "-c", program], **options)

    monkeypatch.setattr(device_check.subprocess, "run", crash)
    (found,) = device_check.check(bundle, lambda name: None)
    assert found.works is False
    assert said in found.error
