"""Which recordings are in which shard and chunk, and which shards a task of a SLURM array writes."""

import pytest
from edgespeech_calib.corpus.entries import Entry
from edgespeech_calib.corpus.files import locked
from edgespeech_calib.corpus.shards import Plan, chunks, default_shards, slurm_task, windows
from edgespeech_calib.errors import CorpusError
from edgespeech_calib.speech.audio import FileAudio
from edgespeech_calib.speech.utterance import Utterance


def entry(line, seconds=None):
    return Entry(line, str(line), Utterance(str(line), FileAudio(f"{line}.wav"), seconds=seconds))


@pytest.mark.parametrize(("entries", "shards"), [(10, 3), (3, 7), (100, 100), (1, 1)])
def test_every_entry_is_in_one_shard(entries, shards):
    plan = Plan(entries, shards, range(shards))
    found = list(windows(map(entry, range(entries)), plan, set(range(shards))))
    assert [shard for shard, _ in found] == list(range(shards))
    assert [each.line for _, part in found for each in part] == list(range(entries))
    sizes = [len(part) for _, part in found]
    assert max(sizes) - min(sizes) <= 1
    some = dict(windows(map(entry, range(entries)), plan, {shards - 1}))
    assert some == {shards - 1: found[-1][1]}


def test_neighbours_in_length_share_a_chunk():
    entries = [
        entry(index, seconds) for index, seconds in enumerate([1.0, 9.0, 2.0, None, 8.0, 3.0, 7.0, 300.0, 400.0])
    ]
    found = [[each.line for each in chunk.entries] for chunk in chunks(0, entries, 2)]
    assert found == [[8], [7, 1, 4, 6, 5, 2, 0, 3]]  # not more than ten minutes, not more than eight
    assert [len(chunk.entries) for chunk in chunks(0, [entry(index) for index in range(20)], 4)] == [16, 4]


def test_how_many_shards_there_are():
    assert [default_shards(entries) for entries in (1, 100, 101, 2000, 10**9)] == [1, 1, 2, 20, 10_000]
    assert default_shards(100, tasks=16) == 16


def test_tasks_of_a_slurm_array_write_all_shards():
    def task(number, **more):
        names = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "3", **more}
        return slurm_task(names)

    assert slurm_task({}) is None
    assert slurm_task({"SLURM_JOB_ID": "7"}) is None
    for more, numbers in [
        ({}, (0, 1, 2)),
        ({"SLURM_ARRAY_TASK_MIN": "1"}, (1, 2, 3)),
        ({"SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_STEP": "5"}, (10, 15, 20)),
    ]:
        tasks = [task(number, **more) for number in numbers]
        assert sorted(shard for one in tasks for shard in one.chosen(10)) == list(range(10))
    for number, more in [(3, {}), (-1, {}), ("x", {}), (12, {"SLURM_ARRAY_TASK_STEP": "5"})]:
        with pytest.raises(CorpusError, match="array"):
            task(number, **more)


def test_two_runs_do_not_write_one_folder(tmp_path):
    with locked(tmp_path, None), pytest.raises(CorpusError, match="another run"), locked(tmp_path, None):
        pass
    with locked(tmp_path, "0-of-2"):
        with locked(tmp_path, "1-of-2"):
            pass
        for part in ("0-of-2", None):
            with pytest.raises(CorpusError, match="another run"), locked(tmp_path, part):
                pass
    with locked(tmp_path, None):
        pass


def test_a_large_shard_comes_in_windows():
    found = list(windows(map(entry, range(2600)), Plan(2600, 1, [0]), {0}))
    assert [(shard, len(part)) for shard, part in found] == [(0, 1000), (0, 1000), (0, 600)]
    assert [each.line for _, part in found for each in part] == list(range(2600))


def test_a_manifest_that_became_shorter_is_told():
    with pytest.raises(CorpusError, match="had 5 recordings, and has fewer now"):
        list(windows(map(entry, range(4)), Plan(5, 2, [0, 1]), {0, 1}))
