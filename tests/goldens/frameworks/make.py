"""Make the folders beside this file: tiny checkpoints of Flax and TensorFlow, and what those compute with them.

Both are gone from transformers 5, so this runs in an environment of its own:

    pip install transformers==4.44.2 flax==0.8.5 jax==0.4.30 jaxlib==0.4.30 tensorflow-cpu==2.15.1 h5py 'numpy<2'
    python tests/goldens/frameworks/make.py
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import transformers as t

HOME = Path(__file__).parent
SIZES = {
    "vocab_size": 12,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 6,
    "num_conv_pos_embedding_groups": 2,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
    "num_codevectors_per_group": 4,
    "classifier_proj_size": 8,
}
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
BERT = {
    "vocab_size": 11,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 12,
    "is_decoder": True,
    "add_cross_attention": True,
}
GPT2 = {"vocab_size": 11, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 12, "add_cross_attention": True}
BART = {
    "vocab_size": 11,
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 20,
    "max_position_embeddings": 12,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
AUDIO = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
TOKENS = np.array([[2, 5, 6, 7, 3], [2, 9, 4, 10, 8]], np.int32)
STATES = np.random.default_rng(1).standard_normal((2, 7, 16)).astype(np.float32)


def livelier(array, rng):
    """Weights that all matter: fresh biases and norms are 0 and 1."""
    array = np.asarray(array)
    if array.ndim < 2:
        return array + 0.2 * rng.standard_normal(array.shape).astype(array.dtype)
    return rng.standard_normal(array.shape).astype(array.dtype) * np.prod(array.shape[:-1]) ** -0.5


def keep(name, model, shard="1GB", **golden):
    """Write a checkpoint, in files of at most `shard`, and its golden."""
    folder = HOME / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    np.savez_compressed(folder / "golden.npz", **{key: np.asarray(value) for key, value in golden.items()})
    print(name, sum(file.stat().st_size for file in folder.iterdir()), "bytes")


def flax_goldens():
    """Checkpoints of Flax."""
    import jax

    def lively(model):
        rng = np.random.default_rng(2)
        model.params = jax.tree_util.tree_map(lambda leaf: livelier(leaf, rng), model.params)
        return model

    config = t.Wav2Vec2Config(**SIZES, **LAYER)
    model = lively(t.FlaxWav2Vec2ForCTC(config, input_shape=(1, 1000)))
    keep("flax-ctc", model, audio=AUDIO, logits=model(AUDIO).logits)
    keep("flax-shards", model, shard="10KB", audio=AUDIO, logits=model(AUDIO).logits)
    model = lively(t.FlaxWav2Vec2Model(config, input_shape=(1, 1000)))
    keep("flax-encoder", model, audio=AUDIO, states=model(AUDIO).last_hidden_state)
    model = lively(t.FlaxWav2Vec2ForPreTraining(config, input_shape=(1, 1000)))
    keep("flax-pretraining", model, audio=AUDIO, states=model(AUDIO).projected_states)
    decoders = {
        "bert": t.BertConfig(**BERT),
        "gpt2": t.GPT2Config(**GPT2),
        "bart": t.BartConfig(**BART, is_decoder=True, initializer_range=0.02),
        "roberta": t.RobertaConfig(**{**BERT, "max_position_embeddings": 20, "pad_token_id": 1}),
    }
    for name, decoder in decoders.items():
        encoder = t.Wav2Vec2Config(**{**SIZES, "hidden_size": 24}, **LAYER)
        both = t.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
        model = lively(t.FlaxSpeechEncoderDecoderModel(both, input_shape=((1, 1000), (1, 1))))
        places = TOKENS * 0 + np.arange(TOKENS.shape[1]) + (2 if name == "roberta" else 0)
        found = model(AUDIO, decoder_input_ids=TOKENS, decoder_position_ids=places)
        keep(f"flax-{name}", model, audio=AUDIO, tokens=TOKENS, logits=found.logits)
    for name, kind, config in (
        ("flax-mbart", t.FlaxMBartForConditionalGeneration, t.MBartConfig(**BART)),
        ("flax-marian", t.FlaxMarianMTModel, t.MarianConfig(**{**BART, "pad_token_id": 10})),
    ):
        model = lively(kind(config, input_shape=(1, 8)))
        found = model(TOKENS, decoder_input_ids=TOKENS)
        keep(name, model, tokens=TOKENS, encoder=found.encoder_last_hidden_state, logits=found.logits)


def tensorflow_goldens():
    """Checkpoints of TensorFlow."""
    import tensorflow as tf

    def lively(model, *inputs, **named):
        model(*inputs, **named)
        rng = np.random.default_rng(3)
        for weight in model.weights:
            weight.assign(livelier(weight.numpy(), rng))
        return model

    audio = tf.constant(AUDIO)
    for name, kind, config in (
        ("tf-ctc", t.TFWav2Vec2ForCTC, t.Wav2Vec2Config(**SIZES)),
        ("tf-ctc-layer-norm", t.TFWav2Vec2ForCTC, t.Wav2Vec2Config(**SIZES, **LAYER)),
        ("tf-hubert-ctc", t.TFHubertForCTC, t.HubertConfig(**SIZES)),
        ("tf-classifier", t.TFWav2Vec2ForSequenceClassification, t.Wav2Vec2Config(**SIZES, num_labels=3)),
    ):
        model = lively(kind(config), audio)
        keep(name, model, audio=AUDIO, logits=model(audio, training=False).logits)
    seen = {"encoder_hidden_states": tf.constant(STATES)}
    for name, kind, config in (
        ("tf-bert", t.TFBertLMHeadModel, t.BertConfig(**BERT)),
        ("tf-gpt2", t.TFGPT2LMHeadModel, t.GPT2Config(**GPT2)),
    ):
        model = lively(kind(config), tf.constant(TOKENS), **seen)
        logits = model(tf.constant(TOKENS), **seen, training=False).logits
        keep(name, model, tokens=TOKENS, encoder=STATES, logits=logits)
    for name, kind, config in (
        ("tf-bart", t.TFBartForConditionalGeneration, t.BartConfig(**BART)),
        ("tf-mbart", t.TFMBartForConditionalGeneration, t.MBartConfig(**BART)),
    ):
        ids = tf.constant(TOKENS)
        model = lively(kind(config), ids, decoder_input_ids=ids)
        found = model(ids, decoder_input_ids=ids, training=False)
        keep(name, model, tokens=TOKENS, encoder=found.encoder_last_hidden_state, logits=found.logits)


if __name__ == "__main__":
    for make in (flax_goldens, tensorflow_goldens):
        if make.__name__.split("_")[0] in (sys.argv[1:] or ["flax", "tensorflow"]):
            make()
