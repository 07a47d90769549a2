"""The search for the INT8 bundle: trials with more and more layers in float until one passes; the best is finished.

A trial is a whole bundle in the scratch folder, so that the real runtime judges what will be shipped.
"""

import contextlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgespeech_export.bundle import BundleWriter
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import Manifest

from edgespeech.choices import Scheme, Target
from edgespeech.engines import ENGINES
from edgespeech_calib.errors import QualityError
from edgespeech_calib.quantization.backend import DecoderBackend, EncoderBackend, IntegerShare
from edgespeech_calib.quantization.calibration import Calibration
from edgespeech_calib.quantization.judge.gate import Gate, Judgement
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_calib.quantization.report.report import Facts, LayerReport, TrialReport, quantization
from edgespeech_calib.quantization.search.ranking import chosen, estimated, ranked
from edgespeech_calib.quantization.steps import StepClock

# Share of the multiply-accumulates of the main graph that must run in integers for a bundle to be called INT8. In ONNX
# products of two activations stay in float, and with the dynamic scheme convolutions too, most of a narrow model.
LEAST_SHARE: dict[Scheme, float] = {"static": 0.25, "dynamic": 0.1}
LEAST_WEIGHTS = 0.5  # where weights alone are quantized, of those that can be: with fewer, float16 is as small
NAMED = 5  # layers in a message
MOST_TRIALS, PART = 4, 1 / 4  # at most, and how much of the noise is left from one to the next: 6 dB less
MOST_FLOAT = 0.2  # of the work, where what more layers in float would change is not shown to matter
# Ends of utterances, with what is quiet behind them, on which the noise of each layer is measured.
DAMAGE_UTTERANCES, DAMAGE_SECONDS = 3, 3.0


@dataclass(frozen=True)
class Trial:
    """A bundle that was tried."""

    folder: Path
    manifest: Manifest
    floating: frozenset[str]
    reverted: frozenset[str]
    encoder: IntegerShare
    decoder: IntegerShare | None
    judgement: Judgement

    @property
    def cost(self) -> tuple[bool, float, int]:
        """Least for the best trial: whether and by how much it costs more than is wanted; layers in float."""
        is_wanted, evidence = self.judgement.is_wanted, self.judgement.evidence
        return not is_wanted, 0.0 if is_wanted or evidence is None else evidence.value, len(self.floating)


class TrialSearch:
    """Writes trials, has them judged, and finishes the best."""

    def __init__(
        self,
        source: Bundle,
        scratch: Path,
        options: QuantizationOptions,
        encoder: EncoderBackend,
        decoder: DecoderBackend | None,
        noise: Mapping[str, float],
        float_reasons: Mapping[str, str],
        gate: Gate,
        drawn: Calibration,
        clock: StepClock,
    ) -> None:
        """`float_reasons` are the layers that are in float from the beginning, with the reason of each."""
        self._source, self._scratch, self._options = source, scratch, options
        self._encoder, self._decoder = encoder, decoder
        self._noise, self._float_reasons = noise, float_reasons
        self._gate, self._drawn, self._clock = gate, drawn, clock
        self._damage: Mapping[str, float] = {}
        self.trials: list[TrialReport] = []

    def search(self) -> Trial:
        """Return the first bundle whose cost is seen to be within what is allowed, else the best that passes.

        Layers go back to float, those first that make the most noise for their work, until a quarter of the noise is
        left, then a quarter of that, and once more. Of a bundle that passes, no more than a fifth of the work goes.

        Raises:
            QualityError: none passes, or too little would run in integers.
        """
        trials = [self._attempt(())]
        while self._options.revert and len(trials) < MOST_TRIALS and not trials[-1].judgement.is_wanted:
            last = trials[-1]
            worst = self._worst(last.floating)
            if not worst or (last.judgement.passed and self._work(worst, last.floating) > MOST_FLOAT):
                break
            try:
                trials.append(self._attempt([*last.reverted, *worst]))
            except QualityError:  # too little in integers
                if not any(trial.judgement.passed for trial in trials):
                    raise
                break
        passing = [trial for trial in trials if trial.judgement.passed]
        if not passing:
            raise QualityError(self._failure(trials[-1]))
        return min(passing, key=lambda trial: trial.cost)

    def _worst(self, floating: Collection[str]) -> list[str]:
        """Of the layers in INT8, those that make the most noise for their work, without which a part of it is left."""
        layers = [layer for layer in self._encoder.layers if layer.name not in floating]
        if not self._damage:
            with self._clock.step("measuring what each layer does to the answers"):
                ends = self._drawn.ends(DAMAGE_UTTERANCES, DAMAGE_SECONDS)
                self._damage = self._encoder.damage(lambda: iter(ends)) or estimated(layers, self._noise)
        return chosen(layers, self._damage, PART)

    def _work(self, *names: Collection[str]) -> float:
        """Share of the encoder's multiply-accumulates that these layers are."""
        layers, some = self._encoder.layers, {name for part in names for name in part}
        return sum(layer.macs for layer in layers if layer.name in some) / sum(layer.macs for layer in layers)

    def _attempt(self, reverted: Collection[str]) -> Trial:
        clock, number = self._clock, len(self.trials)
        suffix = f", trial {number + 1}" if number else ""
        folder = self._scratch / f"trial-{number}"
        folder.mkdir()
        floating = frozenset({*self._float_reasons, *reverted})
        with clock.step(f"writing INT8{suffix}"):
            manifest = self._write(folder, floating)
        with clock.step(f"proving that integers are computed with{suffix}"):
            (probe,) = self._drawn.few(1, 2.0)
            share = self._encoder.integer_share(folder, probe)
            decoder = None if self._decoder is None else self._decoder.integer_share(folder)
        self._require_integers(share, decoder, len(reverted))
        with clock.step(f"running the INT8 model{suffix}") as count:
            judgement = self._gate.judge(folder, count)
        trial = Trial(folder, manifest, floating, frozenset(reverted), share, decoder, judgement)
        self.trials.append(TrialReport(len(floating), share.reported, judgement.passed, judgement.sentence))
        if not judgement.passed:
            shutil.rmtree(folder)
        return trial

    def _write(self, folder: Path, floating: frozenset[str]) -> Manifest:
        graphs = self._encoder.write(folder, floating)
        if self._decoder is not None:
            graphs = {**graphs, **self._decoder.write(folder, floating)}
        in_order = {name: graphs[name] for name in self._source.manifest.graphs if name in graphs}
        return BundleWriter(folder).derive(self._source, in_order)

    def _require_integers(self, share: IntegerShare, decoder: IntegerShare | None, reverted: int) -> None:
        """Raise QualityError for a bundle that would be INT8 by name alone."""
        parts = [("the model", share)] if decoder is None else [("the encoder", share), ("the decoder", decoder)]
        for name, part in parts:
            least = LEAST_SHARE[self._options.scheme] if part.weights is None else LEAST_WEIGHTS
            if part.share >= least:
                continue
            what, form = ("multiply-accumulates", "run") if part.weights is None else ("weights", "be")
            ran = f"; ran in float though stored in INT8: {_few(part.floating)}" if part.floating else ""
            why = f" with the {reverted} layers in float that the gate asks for" if reverted else ""
            last = f"; {self.trials[-1].result}" if self.trials else ""
            raise QualityError(
                f"only {100 * part.share:.0f} % of the {what} of {name} would {form} in INT8{why}, at least "
                f"{100 * least:.0f} % must{ran}{last}; export it as float32"
            )

    def _failure(self, trial: Trial) -> str:
        layers, damage = self._encoder.layers, self._damage or estimated(self._encoder.layers, self._noise)
        worst = [name for name in ranked(layers, damage) if name in self._noise][:NAMED]
        named = ", ".join(f"{name} ({self._noise[name]:.1f} dB)" for name in worst)
        message = (
            f"INT8 costs more than is allowed: {trial.judgement.sentence}; the worst layers: {named or 'not known'}"
        )
        if not self._options.revert:
            allow = "--max-changed-words" if trial.judgement.increase is None else "--max-wer-increase"
            return f"{message}; let layers go back to float (leave out --no-revert), or allow more ({allow})"
        weights = ""
        if self._decoder is not None:
            weights = ", so the decoder's weights are what costs"
            if self._options.decoder_weights == "int4":
                weights += "; try --decoder-weights int8"
        return f"{message}; with {len(trial.floating)} layers in float it is still so{weights}"

    def layers(self, trial: Trial) -> tuple[LayerReport, ...]:
        """Say of each layer how it computes, and why."""
        reports = []
        for layer in self._encoder.layers:
            noise = self._noise.get(layer.name)
            why = self._float_reasons.get(layer.name, "")
            if layer.name in trial.reverted:
                ratio = "" if noise is None else f", {noise:.1f} dB in INT8"
                why = f"returned to float by the gate{ratio}"
            elif layer.name in trial.encoder.floating and not why:
                why = "the engine runs it in float"
            precision = "float32" if why else "int8"
            reports.append(
                LayerReport(layer.name, layer.kind, layer.stage, layer.macs, noise, precision, why)  # type: ignore[arg-type]
            )
        return tuple(reports)

    def finish(self, trial: Trial, partial: Path, target: Target, types: Types) -> Manifest:
        """Measure the golden difference, write the manifest, and move the bundle's files to `partial`."""
        writer, source = BundleWriter(trial.folder), self._source.manifest
        facts = Facts(
            options=self._options,
            target=target,
            types=types,
            layers=self.layers(trial),
            encoder=trial.encoder,
            decoder=trial.decoder,
            judgement=trial.judgement,
            trials=tuple(self.trials),
            float_bytes=source.bytes,
        )
        manifest = writer.update(
            trial.manifest,
            golden=writer.golden_measured_here(trial.manifest),
            report={
                "bytes": trial.manifest.bytes,
                **{name: source.report[name] for name in ("checkpoint_bytes_float32",) if name in source.report},
                "quantization": quantization(facts),
            },
            provenance=_provenance(source, self._drawn),
        )
        for path in trial.folder.iterdir():
            path.rename(partial / path.name)
        return manifest


def _provenance(source: Manifest, drawn: Calibration) -> dict[str, Any]:
    versions = dict(source.provenance.get("versions") or {})
    for name in () if source.decoder is None else ENGINES[source.engine].decoder_tools:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {**source.provenance, "versions": versions, "calibration": drawn.provenance()}


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
