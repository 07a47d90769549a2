"""Forced alignment against torchaudio's paths, against every path there is, and in pieces against the whole."""

import json
from itertools import product

import forced_align_goldens
import numpy as np
import pytest
from edgespeech_runtime.ctc.alignment import forced_align, viterbi
from edgespeech_runtime.ctc.alignment.trellis import Piece
from edgespeech_runtime.ctc.greedy import collapse
from edgespeech_runtime.errors import ArgumentError
from forced_align_goldens import COUNT, GOLDEN, problem


@pytest.fixture(scope="module")
def golden():
    """Each problem of the golden with torchaudio's path."""
    stored = np.load(GOLDEN)
    paths = np.split(stored["paths"], np.cumsum(stored["frames"])[:-1])
    problems = [problem(number) for number in range(COUNT)]
    sums = [each[0].sum(dtype=np.float64) for each in problems]
    np.testing.assert_allclose(sums, stored["sums"], rtol=1e-6, err_msg="numpy draws other problems: write the golden")
    return list(zip(problems, paths, strict=True))


def test_paths_are_those_of_torchaudio(golden):
    wrong = [i for i, (given, path) in enumerate(golden) if forced_align(*given).tolist() != path.tolist()]
    assert len(golden) == 1000
    assert wrong == []


def test_a_large_piece_has_the_same_path_block_by_block(golden, monkeypatch):
    monkeypatch.setattr(viterbi, "CELLS", 0)
    monkeypatch.setattr(viterbi, "BLOCK", 7)
    wrong = [i for i, (given, path) in enumerate(golden[::5]) if forced_align(*given).tolist() != path.tolist()]
    assert wrong == []


def test_pieces_side_by_side_have_the_paths_of_each_alone():
    given = [each for each in map(problem, range(300)) if each[0].shape[1] >= 8][:60]
    size = min(scores.shape[1] for scores, _, _ in given)
    pieces, rows, at, blank = [], [], 0, 0
    for scores, targets, _ in given:
        tokens = 1 + targets % (size - 1)
        frames = max(len(scores), 2 * len(tokens))
        rows.append(np.resize(scores[:, :size], (frames, size)))
        pieces.append(Piece(at, frames, tokens))
        at += frames
    scores = np.concatenate(rows)
    together = viterbi.best_paths(scores, pieces, blank)
    alone = [viterbi.best_paths(scores, [piece], blank)[0] for piece in pieces]
    assert [path.tolist() for path in together] == [path.tolist() for path in alone]


@pytest.mark.parametrize("targets", [[1], [1, 1], [1, 2], [2, 1, 2], [2, 2, 1]])
@pytest.mark.parametrize("blank", [0, 3])
def test_no_path_that_emits_the_targets_is_more_probable(targets, blank):
    """All of them are tried."""
    rng = np.random.default_rng(sum(targets) + blank)
    targets = [token if token < blank or blank == 0 else token + 1 for token in targets]
    for frames in range(len(targets) + 1, 7):
        scores = np.log(rng.dirichlet(np.ones(4), frames))
        best = max(
            (path for path in product(range(4), repeat=frames) if emits(path, blank) == targets),
            key=lambda path: scores[np.arange(frames), path].sum(),
        )
        assert forced_align(scores, targets, blank).tolist() == list(best)


def emits(path, blank):
    return [span.token_id for span in collapse(path, blank)]


def test_of_equal_ways_the_best_is_kept():
    """Two ways into the last token are equally good, and better than to stay: torchaudio's comparison takes neither."""
    with np.errstate(divide="ignore"):
        scores = np.log(np.array([[0, 0.5, 0.1], [0.4, 0.4, 0.2], [0.1, 0, 0.9]]))
    path = forced_align(scores, [1, 2])
    assert scores[np.arange(3), path].sum() == pytest.approx(np.log(0.5 * 0.4 * 0.9))


def test_the_path_of_a_published_utterance_is_that_of_torchaudio_but_for_ties():
    """These logits are whole numbers: in two frames two ways are equal, of which torchaudio takes the worse."""
    problem = forced_align_goldens.utterance()
    if problem is None:
        pytest.skip("needs the published logits: set EDGESPEECH_SPEECH to the folder of speech data beside golden")
    log_probabilities, targets, blank = problem
    expected = json.loads(forced_align_goldens.UTTERANCE.read_text(encoding="utf-8"))
    found = forced_align(log_probabilities, targets, blank)
    assert np.flatnonzero(found != expected).tolist() == [98, 168]
    frames = np.arange(len(found))
    assert log_probabilities[frames, found].sum() > log_probabilities[frames, expected].sum() + 4
    assert [span.token_id for span in collapse(found, blank)] == targets.tolist()


def test_it_fits_exactly():
    scores = np.zeros((5, 3), np.float32)
    assert forced_align(scores, [1, 1, 2, 1]).tolist() == [1, 0, 1, 2, 1]
    with pytest.raises(ArgumentError, match=r"4 tokens need at least 5 frames, the audio has 4: the text is longer"):
        forced_align(scores[:4], [1, 1, 2, 1])


@pytest.mark.parametrize(
    ("targets", "blank", "message"),
    [
        ([], 0, r"targets: expected \[tokens\], at least one, got \[0\]"),
        ([[1]], 0, r"targets: expected \[tokens\], at least one, got \[1, 1\]"),
        ([1, 0], 0, "targets: expected ids below 3 that are not the blank, 0"),
        ([3], 0, "targets: expected ids below 3 that are not the blank, 0"),
        ([-1], 0, "targets: expected ids below 3"),
        ([1], 3, "blank: expected an id below 3, got 3"),
    ],
)
def test_bad_input_is_named(targets, blank, message):
    with pytest.raises(ArgumentError, match=message):
        forced_align(np.zeros((5, 3), np.float32), targets, blank)


@pytest.mark.parametrize("shape", [(5,), (0, 3), (1, 5, 3)])
def test_scores_of_another_shape_are_refused(shape):
    with pytest.raises(ArgumentError, match=r"expected an array \[frames, vocabulary\], got the shape"):
        forced_align(np.zeros(shape, np.float32), [1])
