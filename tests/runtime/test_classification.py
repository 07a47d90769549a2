"""Results of classifiers: segments of frames worked out by hand, and what goes into JSON."""

import json
import math

import numpy as np
import pytest
from edgespeech_runtime import Classification, FrameLabels, Label, Segment
from edgespeech_runtime.errors import ArgumentError

HOP = 0.02  # seconds


def frames(*rows, duration=None):
    probabilities = np.array(rows, np.float32).reshape(len(rows), 2)
    return FrameLabels(("a", "b"), probabilities, HOP, HOP * len(rows) if duration is None else duration)


def approximate(segments):
    return [(each.label, round(each.start, 6), round(each.end, 6), round(each.score, 6)) for each in segments]


def test_segments_are_runs_above_the_threshold():
    found = frames((0.9, 0.1), (0.7, 0.8), (0.2, 0.6), (0.9, 0.1), (0.1, 0.9), duration=0.105)
    assert approximate(found.segments()) == [
        ("a", 0.0, 0.04, 0.8),
        ("b", 0.02, 0.06, 0.7),
        ("a", 0.06, 0.08, 0.9),
        ("b", 0.08, 0.1, 0.9),
    ]
    assert approximate(found.segments(0.75)) == [
        ("a", 0.0, 0.02, 0.9),
        ("b", 0.02, 0.04, 0.8),
        ("a", 0.06, 0.08, 0.9),
        ("b", 0.08, 0.1, 0.9),
    ]


def test_above_means_above():
    assert frames((0.5, 0.0)).segments(0.5) == []
    assert frames((1.0, 1.0)).segments(1) == []
    assert len(frames((0.001, 0.0)).segments(0)) == 1


def test_everything_above_is_one_segment_a_label():
    assert approximate(frames(*[(0.9, 0.8)] * 3).segments()) == [("a", 0.0, 0.06, 0.9), ("b", 0.0, 0.06, 0.8)]


def test_nothing_above_and_no_frames_are_no_segments():
    assert frames((0.1, 0.2), (0.3, 0.4)).segments() == []
    assert frames().segments() == []


def test_a_segment_never_ends_beyond_the_audio():
    (found,) = frames((0.9, 0.1), (0.9, 0.1), duration=0.03).segments()
    assert (found.start, found.end) == (0.0, 0.03)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan, math.inf, True, None, "0.5"])
def test_thresholds_that_are_none(threshold):
    with pytest.raises(ArgumentError, match="threshold: expected a number from 0 to 1, got"):
        frames((0.5, 0.5)).segments(threshold)


def test_json():
    found = Classification("b", 0.75, (Label("b", 0.75), Label("a", 0.25)))
    scores = [{"label": "b", "score": 0.75}, {"label": "a", "score": 0.25}]
    assert json.loads(json.dumps(found.to_dict())) == {"label": "b", "score": 0.75, "scores": scores}
    assert json.loads(json.dumps(frames((0.5, 0.25)).to_dict())) == {
        "labels": ["a", "b"],
        "probabilities": [[0.5, 0.25]],
        "hop": HOP,
        "duration": HOP,
    }
    assert json.loads(json.dumps([vars(each) for each in frames((0.75, 0.25)).segments()])) == [
        {"label": "a", "start": 0.0, "end": HOP, "score": 0.75}
    ]
    assert Segment("a", 0.0, HOP, 0.75) == frames((0.75, 0.25)).segments()[0]
