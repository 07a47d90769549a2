"""Stage 2 of dictation-en: sentences. `python dictation.py TEACHER CORPUS SPEECH VOCABULARY FRONT OUT --minutes 60`.

The front end of stage 1 gets Whisper's encoder layers and positions, and its decoder in GPT-2's shape with the
vocabulary of `vocabulary.py`. All learn the labels, and the teacher's distributions over them where the teacher knows
them; the encoder also goes on learning the teacher's states. Short words, and sounds in which nobody speaks, have
labels alone. OUT is a checkpoint folder in the Hugging Face format.
"""

import argparse
import json
from collections.abc import Callable

import torch
from checkpoints import save_dictation
from corpus import Utterance
from labelled import Batch, Labelled
from scoring import Wave, report
from student import HEADS, INNER, LAYERS, SIZE, features, new_encoder, transform, write_positions
from teacher import encode, stem, whisper
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from training import Losses, Trainer, command_line, feature_means, front_parameters, stages, weights_file
from transformers import WhisperForConditionalGeneration

from edgespeech import GPT2Config, SpeechEncoderDecoderModel
from edgespeech.generation_config import GenerationConfig
from edgespeech.models.decoders.gpt2 import GPT2LMHeadModel

SHARES = {"librispeech": 0.36, "hibari": 0.28, "speechocean762": 0.11, "coffee": 0.06, "keywords": 0.06, "fsdd": 0.04,
          "dc_tts": 0.02, "ljspeech": 0.01, "noise": 0.06}  # fmt: skip
TAUGHT = ("librispeech", "hibari", "coffee", "dc_tts", "ljspeech")  # parts on which the teacher's opinion counts
LONGEST = 256  # tokens
SILENCE = 48000  # samples behind the speech that the teacher hears
SECONDS = 32.0  # of a batch
RATES = {"decoder": 3e-5, "encoder": 1e-5, "front": 3e-5}  # peak learning rates
STATES_WEIGHT = 0.5  # of the loss on the teacher's states, at first; it falls with the learning rate


def new_decoder(teacher: WhisperForConditionalGeneration, kept: list[int]) -> GPT2LMHeadModel:
    """Whisper's decoder as GPT-2 with cross-attention, over the tokens `kept` (old numbers).

    Whisper's prompt stays as it is: the start token, and the first token that is generated is a forced one.
    """
    config = GPT2Config(
        vocab_size=len(kept), n_positions=LONGEST, n_embd=SIZE, n_layer=LAYERS, n_head=HEADS, n_inner=INNER,
        activation_function="gelu", add_cross_attention=True, is_decoder=True, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=len(kept) - 2, eos_token_id=len(kept) - 3,
    )  # fmt: skip
    model, source = GPT2LMHeadModel(config), teacher.model.decoder
    body = model.transformer
    pairs: list[tuple[nn.Module, list[nn.Module]]] = [(body.ln_f, [source.layer_norm])]
    for old, new in zip(source.layers, body.h, strict=True):
        own, cross = old.self_attn, old.encoder_attn
        pairs += [
            (new.ln_1, [old.self_attn_layer_norm]),
            (new.attn.c_attn, [own.q_proj, own.k_proj, own.v_proj]),
            (new.attn.c_proj, [own.out_proj]),
            (new.ln_cross_attn, [old.encoder_attn_layer_norm]),
            (new.crossattention.q_attn, [cross.q_proj]),
            (new.crossattention.c_attn, [cross.k_proj, cross.v_proj]),
            (new.crossattention.c_proj, [cross.out_proj]),
            (new.ln_2, [old.final_layer_norm]),
            (new.mlp.c_fc, [old.fc1]),
            (new.mlp.c_proj, [old.fc2]),
        ]
    with torch.no_grad():
        body.wte.weight.copy_(source.embed_tokens.weight[kept])
        body.wpe.weight.copy_(source.embed_positions.weight[:LONGEST])
        for target, origins in pairs:
            weight = torch.cat([origin.weight for origin in origins])
            target.weight.copy_(weight if weight.ndim == 1 else weight.T)
            target.bias.copy_(torch.cat([zeros(origin) if origin.bias is None else origin.bias for origin in origins]))
    return model


def zeros(linear: nn.Module) -> Tensor:
    """The bias of a linear layer that has none (outputs,)."""
    return torch.zeros(linear.weight.shape[0])


class Dictation:
    """The student, its teacher, and what one step asks of the student."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.teacher = whisper(options.teacher)
        self.kept: list[int] = json.loads((options.vocabulary / "kept.json").read_text())
        self.text = (options.vocabulary / "tokenizer.json").read_text(encoding="utf-8")
        self.tokenizer = Tokenizer.from_str(self.text)
        self.positions = self.teacher.model.encoder.embed_positions.weight
        self.end, self.begin, self.prompt = (len(self.kept) - place for place in (3, 2, 1))
        self.model = self.start(options)

    def start(self, options: argparse.Namespace) -> SpeechEncoderDecoderModel:
        """The front end of the stage before, Whisper's layers and its decoder, or the weights of an interrupted run."""
        encoder = stages(new_encoder(self.teacher), options.front)
        model = SpeechEncoderDecoderModel(encoder=encoder, decoder=new_decoder(self.teacher, self.kept))
        ids = {"decoder_start_token_id": self.begin, "eos_token_id": self.end, "pad_token_id": self.end}
        for name, value in ids.items():
            setattr(model.config, name, value)
        model.generation_config = GenerationConfig(
            **ids, bos_token_id=self.begin, forced_bos_token_id=self.prompt, max_length=LONGEST
        )
        if options.resume:
            model.load_state_dict(torch.load(weights_file(options.out)))
        return model

    @torch.no_grad()
    def finished(self, model: SpeechEncoderDecoderModel, labelled: Labelled) -> SpeechEncoderDecoderModel:
        """`model` with its positions in the positional convolution."""
        encoder = write_positions(model.encoder, self.positions, feature_means(model.encoder, labelled))
        finished = SpeechEncoderDecoderModel(encoder=encoder.eval(), decoder=model.decoder)
        for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id"):
            setattr(finished.config, name, getattr(model.config, name))
        finished.generation_config = self.model.generation_config
        return finished

    def tokens(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Decoder inputs and labels (rows, length); labels are -100 behind the end."""
        rows = [self.tokenizer.encode(f" {text}", add_special_tokens=False).ids if text else [] for text in texts]
        length = max(len(row) for row in rows)
        behind = [length - len(row) for row in rows]
        inputs = [[self.begin, self.prompt, *row] + [self.end] * count for row, count in zip(rows, behind, strict=True)]
        labels = [[-100, *row, self.end] + [-100] * count for row, count in zip(rows, behind, strict=True)]
        return torch.tensor(inputs), torch.tensor(labels)

    @torch.no_grad()
    def opinion(self, batch: Batch, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The teacher's states (rows, frames, 384) and log-probabilities over the kept tokens (rows, length, kept).

        It hears silence behind the speech, without which it would go on when the speech ends.
        """
        states = encode(self.teacher, stem(self.teacher, F.pad(batch.waveform, (0, SILENCE))))[-1]
        given = torch.tensor(self.kept)[inputs]
        hidden = self.teacher.model.decoder(input_ids=given, encoder_hidden_states=states, use_cache=False)
        table = self.teacher.proj_out.weight[self.kept]
        return states.float(), (hidden.last_hidden_state @ table.T).float().log_softmax(-1)

    def loss(self, batch: Batch, labelled: Labelled, progress: float) -> tuple[Tensor, Losses]:
        """The sum of the losses on labels, distributions and states, and each of them."""
        inputs, labels = self.tokens(batch.texts)
        frames = batch.frames
        mask = torch.arange(int(frames.max())) < frames[:, None]
        encoder = self.model.encoder
        with torch.autocast("cpu", torch.bfloat16):
            wanted, distribution = self.opinion(batch, inputs)
            given = features(encoder, batch.waveform).float()
            states = transform(encoder, given, frames, self.positions)[-1].float()
            wanted = wanted[:, : states.shape[1]]
            decoder = self.model.decoder(
                inputs, encoder_hidden_states=states, encoder_attention_mask=mask[:, : states.shape[1]].long()
            )
        guess = decoder.logits.float().log_softmax(-1)
        words = F.nll_loss(guess.flatten(0, 1), labels.flatten(), ignore_index=-100)
        taught = torch.tensor([name in TAUGHT for name in batch.names])
        where = (labels >= 0) & taught[:, None]
        opinion = (distribution.exp() * (distribution - guess)).sum(-1)[where].sum() / (labels >= 0).sum()
        keep = mask[:, : states.shape[1]] & taught[:, None]
        far = (states - wanted)[keep].square().mean() / wanted[mask].var() if keep.any() else states.sum() * 0
        total = words + opinion + STATES_WEIGHT * (1 - progress) * far
        return total, {"labels": words.item(), "teacher": opinion.item(), "states": far.item() ** 0.5}

    def transcriber(self, model: SpeechEncoderDecoderModel) -> Callable[[Wave], str]:
        """Greedy decoding of one waveform."""

        @torch.no_grad()
        def transcribe(waveform: Wave) -> str:
            tokens = model.generate(torch.from_numpy(waveform)[None], max_new_tokens=int(8 + 8 * len(waveform) / 16000))
            return self.tokenizer.decode(tokens[0].tolist()[2:]).strip()

        return transcribe


def main() -> None:
    """Command line."""
    options = command_line(__doc__, "teacher", "corpus", "speech", "vocabulary", "front", "out")
    dictation = Dictation(options)
    model, encoder = dictation.model, dictation.model.encoder
    groups = {
        "decoder": list(model.decoder.parameters()),
        "encoder": list(encoder.encoder.parameters()),
        "front": front_parameters(encoder),
    }
    trainer = Trainer(model, groups, RATES)
    labelled = Labelled(options.corpus, SHARES, dictated, SECONDS, seed=3)

    def loss(batch: Batch, progress: float) -> tuple[Tensor, Losses]:
        return dictation.loss(batch, labelled, progress)

    def save(finished: bool) -> None:
        torch.save(trainer.average.state_dict(), weights_file(options.out))
        ready = dictation.finished(trainer.average, labelled)
        save_dictation(ready, model.generation_config, dictation.text, options.out)
        limit = 60 if finished else 20
        print(report(dictation.transcriber(ready), options.speech, options.corpus, limit), flush=True)

    trainer.run(labelled, loss, save, options)


def dictated(utterance: Utterance) -> str:
    """What the decoder learns of an utterance."""
    return utterance.dictated


if __name__ == "__main__":
    main()
