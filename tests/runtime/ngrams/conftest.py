"""The goldens that KenLM's own programs wrote, and scoring of whole sentences."""

import json
from pathlib import Path

import pytest

GOLDENS = Path(__file__).parents[2] / "goldens" / "ngrams"


@pytest.fixture(scope="session")
def goldens():
    """The folder of goldens; its README says what is in it."""
    return GOLDENS


@pytest.fixture(scope="session")
def expected():
    """KenLM's scores by file and by whether sentences have boundaries."""
    return json.loads((GOLDENS / "scores.json").read_text())


@pytest.fixture(scope="session")
def score_all():
    """Score every word of the golden queries as KenLM's `query` does."""

    def score(model, boundary):
        scores = []
        for line in (GOLDENS / "queries.txt").read_text().splitlines():
            state = model.begin(boundary)
            for word in line.split():
                value, state = model.score(state, word)
                scores.append(value)
            if boundary:
                scores.append(model.end(state))
        return scores

    return score
