# Each target does its own set-up: a fresh machine needs python3, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Compiled modules are kept, whatever the environment says: tests start many processes.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

.PHONY: demo test test-all test-devices test-app test-web test-peers lint bench api captions app app-check clean
demo: $(READY)
	$(BIN)/edgespeech demo --output build --force

test: $(READY)
	$(PYTEST)

test-all: $(READY)
	$(PYTEST) -m "not devices"

test-devices: $(READY) .venv-webgpu/.ready .venv-qnn/.ready build/vulkan/vk_swiftshader_icd.json
	$(BIN)/python -m pytest -m "devices and not slow" tests/devices

test-app: .venv-app/.ready build/ctc-en/edgespeech.json
	OMP_NUM_THREADS=1 .venv-app/bin/python -m pytest tests/captions

captions: .venv-app/.ready build/ctc-en/edgespeech.json
	.venv-app/bin/python examples/captions/app.py build/ctc-en

app: .venv-app/.ready
	.venv-app/bin/python -m PyInstaller --noconfirm --log-level WARN --distpath build/app --workpath build/app-work examples/captions/captions.spec

app-check: app build/ctc-en/edgespeech.json
	.venv-app/bin/python examples/captions/check.py build/app/captions build/ctc-en

# Wants node 20 and Chromium, and says so where they are not there.
test-web: $(READY) build/web/node_modules/.ready build/web/ctc-en-int8/edgespeech.json
	$(BIN)/python -m pytest -m devices tests/web

# Each library in an environment of its own, with the transformers that it wants.
test-peers: $(READY) .venv-optimum-onnx/.ready .venv-optimum-intel/.ready build/web/ctc-en-int8/edgespeech.json
	$(BIN)/python -m pytest -m devices tests/peers

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/edgespeech demo --output build/bench --force --quiet
	$(BIN)/python -m benchmarks.everything build/bench --json build/bench.json --picture docs/bench.svg

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	touch $@

api: $(READY)
	$(BIN)/python docs/make_api.py

$(READY): pyproject.toml runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable "runtime[onnx,openvino,audio,media,mic]" --editable ".[dev]"
	touch $@

build/ctc-en/edgespeech.json: | $(READY)
	$(BIN)/edgespeech export edgespeech/checkpoints/ctc-en $(@D) --force

.venv-app/.ready: runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --constraint constraints.txt PySide6-Essentials pyinstaller pytest --editable "runtime[onnx,audio,mic]"
	touch $@

.venv-webgpu/.ready: runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --constraint constraints.txt onnxruntime-webgpu --editable "runtime[audio]"
	touch $@

.venv-qnn/.ready: runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --constraint constraints.txt --editable "runtime[npu,audio]"
	touch $@

.venv-optimum-onnx/.ready .venv-optimum-intel/.ready: .venv-%/.ready: tests/peers/%.txt
	sh tests/peers/set_up.sh $(PYTHON) $(@D) $<
	touch $@

build/web/node_modules/.ready: tests/web/package.json tests/web/set_up.sh
	sh tests/web/set_up.sh build/web
	touch $@

build/web/ctc-en/edgespeech.json: | $(READY)
	$(BIN)/edgespeech export edgespeech/checkpoints/ctc-en $(@D) --force

build/web/ctc-en-int8/edgespeech.json: build/web/ctc-en/edgespeech.json
	$(BIN)/edgespeech quantize $(<D) $(@D) --calib edgespeech/checkpoints/calibration/sentences-en.tsv --force

build/vulkan/vk_swiftshader_icd.json:
	sh tests/devices/software_vulkan.sh $(@D)

clean:
	rm -rf build dist $(VENV) .venv-*
