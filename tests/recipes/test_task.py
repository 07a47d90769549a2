"""The recipe of docs/architecture.md for a task: a head that measures loudness, from checkpoint to runtime."""

HEAD = '''
"""Loudness: the mean over frames of one number a frame."""

from torch import Tensor, nn

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.models.encoders.wav2vec2 import Wav2Vec2Model
from edgespeech.models.heads.head import StatesHead, float_mask


class Wav2Vec2ForLoudness(StatesHead, encoder=Wav2Vec2Model):
    """wav2vec2 with the head."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__(config)
        self.meter = nn.Linear(config.hidden_size, 1)

    def head(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, hidden), 1.0 on real frames -> loudness (batch, 1)."""
        levels = self.meter(states)
        if mask is None:
            return levels.mean(1)
        return (levels * mask[:, :, None]).mean(1) / mask.mean(1, keepdim=True)

    def loudness(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What graphs are exported from."""
        found = self.read(waveform, lengths)
        return self.head(found.states, float_mask(found.lengths, found.states))
'''

TASK = '''
"""Models that measure loudness."""

from .head import HeadModel


class LoudnessModel(HeadModel):
    """A loaded bundle that measures loudness."""

    decision = "none"

    def __init__(self, bundle, engine):
        super().__init__(bundle, engine, bundle.manifest.dimensions)

    def _answer(self, output):
        return None

    def loudness(self, audio):
        """One number."""
        return float(self.predict(audio).logits[0])
'''

READER = '''def read_loudness(folder: Path) -> HeadSource:
    """Load a checkpoint that measures loudness."""
    from edgespeech.models.heads.loudness import Wav2Vec2ForLoudness

    model = Wav2Vec2ForLoudness.from_pretrained(folder).requires_grad_(False)
    return _source("audio-loudness", folder, model, {"dimensions": 1}, 1)


'''

PROGRAM = """
import sys
from pathlib import Path
import edgespeech_runtime, numpy as np, torch
from checkpoints import enliven, write_processor
from edgespeech import Wav2Vec2Config
from edgespeech.models.heads.loudness import Wav2Vec2ForLoudness
from edgespeech_export import ExportOptions, export

folder = Path(sys.argv[1])
torch.manual_seed(0)
model = Wav2Vec2ForLoudness(
    Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, conv_dim=[16, 12], conv_kernel=[10, 8], conv_stride=[8, 8],
    )
)
enliven(model)
model.eval().save_pretrained(folder / "checkpoint")
write_processor(folder / "checkpoint", 32, False)
manifest = export(folder / "checkpoint", folder / "bundle", ExportOptions(engine="numpy"))
generator = np.random.default_rng(0)
waveforms = [generator.standard_normal(samples).astype(np.float32) for samples in (4000, 9000)]
with edgespeech_runtime.load(folder / "bundle") as runtime:
    for waveform in waveforms:
        expected = float(model.loudness(torch.from_numpy(waveform)[None])[0, 0])
        assert abs(runtime.loudness(waveform) - expected) < 1e-4 * max(1, abs(expected))
    batch = [prediction.logits[0] for prediction in runtime.predict(waveforms, batch_size=2)]
    np.testing.assert_allclose(batch, [runtime.loudness(waveform) for waveform in waveforms], atol=1e-4)
print(manifest.task, manifest.report["parity"]["same"])
"""


def test_a_task_by_the_recipe_is_stored_exported_proven_and_run(packages, tmp_path):
    packages.insert("edgespeech_runtime/choices.py", '    "audio-xvector",\n', '    "audio-loudness",\n')
    contracts = "edgespeech_runtime/bundle/contracts.py"
    packages.insert(
        contracts,
        "# What an encoder with a head on it gives",
        'LOUDNESS = Tensor("loudness", "float32", ("batch", "dimensions"))\n\n',
    )
    packages.insert(contracts, '    "audio-xvector": EMBEDDINGS,\n', '    "audio-loudness": LOUDNESS,\n')
    needed = "edgespeech_runtime/bundle/manifest.py"
    packages.insert(needed, '    "audio-xvector": "dimensions",\n', '    "audio-loudness": "dimensions",\n')
    packages.add("edgespeech_runtime/tasks/loudness.py", TASK)
    table = "edgespeech_runtime/tasks/__init__.py"
    packages.insert(table, "from .model import Model\n", "from .loudness import LoudnessModel\n")
    packages.insert(table, '    "audio-xvector": EmbeddingModel,\n', '    "audio-loudness": LoudnessModel,\n')

    packages.add("edgespeech/models/heads/loudness.py", HEAD)
    packages.insert("edgespeech_export/sources/heads.py", "def _source(", READER)
    reading = "edgespeech_export/sources/reading.py"
    packages.insert(
        reading, '    "XVector": head_source.read_xvector,\n', '    "Loudness": head_source.read_loudness,\n'
    )
    packages.insert(reading, '    "XVector": "audio-xvector",\n', '    "Loudness": "audio-loudness",\n')
    answers = '    "audio-loudness": ("same", lambda pairs: all(np.allclose(a, b, atol=1e-3) for a, b in pairs)),\n'
    proof = "edgespeech_export/proof/heads.py"
    packages.insert(proof, '    "audio-xvector": ("least_cosine", _least_cosine),\n', answers)
    kind = '    "audio-loudness": Kind("a meter of loudness", "model.loudness"),\n'
    packages.insert("edgespeech_runtime/cli/kinds.py", '    "audio-xvector": Kind(\n', kind)

    assert packages.run("-c", PROGRAM, tmp_path) == "audio-loudness True\n"
