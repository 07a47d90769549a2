"""Beam search against pyctcdecode 0.5 and kenlm: texts, n-best lists, scores and frames of words of 300 problems."""

import gzip
import json

import numpy as np
import pytest
from ctc_beam_cases import ARPA, COUNT, GOLDENS, LETTERS, PIECES, case, words
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.beam_search import BeamSearch
from edgespeech_runtime.ctc.fusion import Fusion
from edgespeech_runtime.ctc.hotwords import checked_hotwords
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.ctc.step import BeamOptions


@pytest.fixture(scope="module")
def expected():
    return json.loads(gzip.decompress((GOLDENS / "pyctcdecode.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def fusion():
    model = open_language_model(ARPA)
    assert sorted(model.words) == words()
    return Fusion(model)


def found(made, fusion):
    alphabet = Alphabet(made.labels, made.labels == PIECES)
    hotwords = checked_hotwords(made.hotwords, alphabet) if made.hotwords else None
    search = BeamSearch(alphabet, fusion if made.has_model else None, hotwords, BeamOptions(**made.options))
    return search.decode(made.logits)


@pytest.mark.parametrize("first", range(0, COUNT, 50))
def test_all_cases(expected, fusion, first):
    for seed in range(first, first + 50):
        hypotheses = found(case(seed), fusion)[: len(expected[seed])]
        assert len(hypotheses) == len(expected[seed]), seed
        for mine, (text, frames, logit, score) in zip(hypotheses, expected[seed], strict=True):
            assert mine.text == text, seed
            assert [[w.text, [w.start_frame, w.end_frame]] for w in mine.words] == frames, seed
            np.testing.assert_allclose([mine.logit_score, mine.score], [logit, score], atol=1e-5, err_msg=str(seed))


def test_the_cases_cover_what_they_shall():
    made = [case(seed) for seed in range(COUNT)]
    for labels in (LETTERS, PIECES):
        for has_model in (False, True):
            for has_hotwords in (False, True):
                some = [
                    c for c in made if (c.labels, c.has_model, bool(c.hotwords)) == (labels, has_model, has_hotwords)
                ]
                assert len(some) >= 15
    assert any(len(c.logits) == 0 for c in made)
