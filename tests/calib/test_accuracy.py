"""Accuracy of labels and of frames, by examples worked out by hand."""

import numpy as np
import pytest
from edgespeech_calib.errors import DataError, EvaluationError, ScoringError
from edgespeech_calib.evaluation.systems import Facts
from edgespeech_calib.scoring.accuracy import score_classes, score_frames
from edgespeech_calib.scoring.bootstrap import Difference
from edgespeech_calib.scoring.label_accuracy import ClassAccuracy, FrameAccuracy
from edgespeech_calib.scoring.labelled_frames import LabelledFrames
from edgespeech_calib.scoring.measures import measure_of
from edgespeech_calib.speech.segments import Segment
from edgespeech_calib.speech.sets import SpeechSet
from edgespeech_calib.speech.utterance import Utterance

LABELS = ("ann", "bob")
EVEN = Difference(0.0, -0.1, 0.0, worse=0.5)
FACTS = Facts("bundle", "", "onnx", "float32", 1000, 1, 0, LABELS, hop=100)  # a frame is 0.1 s


def marks(*columns):
    """Flags of each label, a digit a frame."""
    return LabelledFrames.of(np.array([[digit == "1" for digit in column] for column in columns]).T)


def test_labels_are_counted():
    found = score_classes(["yes", "yes", "no", "up", "yes"], ["yes", "no", "no", "no", "yes"])
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.confusions == {("yes", "yes"): 2, ("no", "no"): 1, ("up", "no"): 1, ("yes", "no"): 1}
    by_label = {one.label: (one.true, one.found, one.both) for one in found.labels}
    assert by_label == {"yes": (3, 2, 2), "no": (1, 3, 1), "up": (1, 0, 0)}
    no, up, yes = found.labels
    assert (yes.recall, yes.precision, yes.f1) == (2 / 3, 1.0, 0.8)
    assert (no.recall, no.precision, no.f1) == (1.0, 1 / 3, 0.5)
    assert (up.recall, up.precision, up.f1) == (0.0, None, 0.0)


def test_names_are_compared_as_they_are():
    assert score_classes(["Yes", "a b"], ["yes", "a b"]).counts.hits == 1


def test_a_frame_is_right_if_each_of_its_labels_is():
    #                                 r  .  r  r  .  r                       r  .
    first = (marks("110011", "001100"), marks("100011", "001110"))
    second = (marks("01", "01"), marks("01", "00"))
    found = score_frames(*zip(first, second, strict=True), LABELS, 0.1)
    assert [one.counts.hits for one in found.utterances] == [4, 1]
    assert found.accuracy == pytest.approx(5 / 8)
    ann, bob = found.labels
    assert (ann.true, ann.found, ann.both) == (5, 4, 4)
    assert (bob.true, bob.found, bob.both) == (3, 3, 2)
    assert (ann.precision, ann.recall, ann.f1) == (1.0, 4 / 5, pytest.approx(8 / 9))
    assert (found.utterances[1].reference, found.utterances[1].hypothesis) == (
        "ann 0.10 to 0.20; bob 0.10 to 0.20",
        "ann 0.10 to 0.20",
    )
    assert [pair.kind for pair in found.utterances[1].alignment] == ["hit", "deletion"]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ScoringError, match="as many answers"):
        score_classes(["a"], [])
    with pytest.raises(ScoringError, match="at least one"):
        score_frames([], [], LABELS, 0.1)
    with pytest.raises(ScoringError, match=r"frames and labels \[2, 2\], got \[3, 2\]"):
        score_frames([marks("01", "01")], [marks("011", "010")], LABELS, 0.1)


def test_stretches_are_the_flags():
    flags = np.random.default_rng(0).random((50, 3)) > 0.5
    found = LabelledFrames.of(flags)
    assert np.array_equal(found.flags(), flags)
    assert LabelledFrames.of(np.zeros((0, 2), bool)) == LabelledFrames(0, ((), ()))
    again = LabelledFrames.from_json(
        {"frames": 50, "stretches": [[list(s) for s in column] for column in found.stretches]}
    )
    assert again == found


def test_a_label_holds_in_a_frame_if_its_middle_is_in_the_segment():
    """Middles of four frames of 0.1 s: 0.05, 0.15, 0.25, 0.35; an end is no longer in its segment."""
    segments = [Segment(0.05, 0.15, "ann"), Segment(0.2, 9.0, "ann"), Segment(0.16, 0.24, "bob")]
    assert LabelledFrames.true(segments, LABELS, 4, 0.1) == marks("1011", "0000")


def test_labels_of_one_name_share_the_truth():
    assert LabelledFrames.true([Segment(0, 0.1, "ann")], ("ann", "ann"), 2, 0.1) == marks("10", "10")


def speech(**known):
    """A set of one utterance for each `name=(label, segments)`."""
    utterances = (Utterance(name, None, label=label, segments=segments) for name, (label, segments) in known.items())
    return SpeechSet("the set", tuple(utterances))


def test_labels_that_a_model_does_not_know_are_left_out_and_named():
    data = speech(a=("ann", None), b=("eve", None), c=("bob", None))
    found = ClassAccuracy().fitting(data, "model", FACTS)
    assert [utterance.id for utterance in found] == ["a", "c"]
    assert [(one.id, one.reason) for one in found.skipped] == [("b", "the model does not know the label 'eve'")]
    with pytest.raises(
        DataError, match=r"model knows none of the labels in the set \('eve'\); its own are 'ann', 'bob'"
    ):
        ClassAccuracy().fitting(speech(b=("eve", None)), "model", FACTS)


def test_recordings_with_a_stranger_are_left_out_and_silent_ones_are_not():
    data = speech(a=(None, (Segment(0, 1, "ann"), Segment(1, 2, "eve"))), b=(None, ()))
    found = FrameAccuracy().fitting(data, "model", FACTS)
    assert [utterance.id for utterance in found] == ["b"]
    assert found.skipped[0].reason.endswith("'eve'")


def test_frames_are_judged_against_segments():
    data = speech(a=(None, (Segment(0.0, 0.2, "ann"),)), b=(None, ()))
    found = FrameAccuracy().judge(list(data), [marks("100", "000"), marks("00", "01")], FACTS)
    figures = found.figures()
    assert (figures["frames"], figures["right"], figures["accuracy"]) == (5, 3, pytest.approx(0.6))
    assert figures["accuracy_interval"]["low"] <= 0.6 <= figures["accuracy_interval"]["high"]
    assert found.result(0) == {
        "reference": [[0.0, 0.2, "ann"]],
        "hypothesis": [[0.0, 0.1, "ann"]],
        "frames": 3,
        "right": 2,
    }
    assert found.result(1)["hypothesis"] == [[0.1, 0.2, "bob"]]


def test_embeddings_have_no_accuracy():
    with pytest.raises(EvaluationError, match="x is for audio-xvector, which has no accuracy without pairs"):
        measure_of("x", "audio-xvector")


def test_no_difference_has_no_sign():
    found = ClassAccuracy().difference(EVEN)
    assert [f"{value:+.2f}" for value in (found.value, found.low, found.high)] == ["+0.00", "+0.00", "+0.10"]
