"""A stage from the store, or trained once: threads, damage, waiting, what is told."""

import errno
import pickle
import threading
import time
from pathlib import Path

import fsspec
import pytest
from training_pieces import HINT, NORMED, SMALL, Watcher, Workbench, pair, schedule

from dmtsearch.errors import SourceMissingError, StoreError
from dmtsearch.store import RemoteDisk, Store
from dmtsearch.training import Decision, StageRun, Stopped, once, stage_record


def counted(monkeypatch, name, pause_s=0.0):
    calls, real = [], getattr(StageRun, name)

    def method(self, *args, **kwargs):
        calls.append(self.stage.name)
        time.sleep(pause_s)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(StageRun, name, method)
    return calls


def test_a_stage_in_the_store_is_not_trained_again(bench, monkeypatch):
    made = pair({"hints": [HINT], "hint_phase": {"epochs": 1}})
    first = bench.run(made)
    calls = counted(monkeypatch, "run_training")
    watcher = Watcher()
    second = bench.run(made, watcher)
    assert calls == watcher.seen == []
    for name, result in second.items():
        assert result.reused
        assert not first[name].reused
        assert (result.key, result.record) == (first[name].key, first[name].record)


def test_only_what_is_new_is_trained(bench, monkeypatch):
    bench.run(pair({}))
    calls = counted(monkeypatch, "run_training")
    results = bench.run(pair({"soft": {"temperature": 2}}))
    assert calls == ["student"]
    assert results["teacher"].reused


def test_threads_that_ask_for_one_stage_at_once_train_it_once(bench, monkeypatch):
    made = schedule({"m": {"model": SMALL}})
    calls = counted(monkeypatch, "run_training", pause_s=0.3)
    bench.data.split("train"), bench.data.split("val")
    job, results = bench.jobs(made)["m"], []
    threads = [
        threading.Thread(target=lambda: results.append(bench.obtain(job))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert calls == ["m"]
    assert sorted(result.reused for result in results) == [False, True, True]
    assert len({bench.model_bytes(result) for result in results}) == 1
    assert bench.told.count("m: another process trains this stage; waiting for it") == 2


def test_stages_that_share_a_hint_phase_at_once_train_it_once(bench, monkeypatch):
    hinted = {"hints": [HINT], "hint_phase": {"epochs": 2}}
    made = [pair({**hinted, "soft": {"temperature": t}}) for t in (2, 5)]
    teacher = bench.obtain(bench.jobs(made[0])["teacher"])
    jobs = [bench.jobs(one)["student"] for one in made]
    assert jobs[0].keys.hint_key == jobs[1].keys.hint_key
    calls = counted(monkeypatch, "run_hints", pause_s=0.3)
    results = []
    threads = [
        threading.Thread(target=lambda job=job: results.append(bench.obtain(job))) for job in jobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert calls == ["student"]
    assert sorted(result.hints_reused for result in results) == [False, True]
    assert teacher.key not in {result.key for result in results}
    assert "student: another process trains its hints; waiting for it" in bench.told


def payloads(store, key):
    root = Path(store.where.removeprefix("file://"))
    return [path for path in root.rglob("*.safetensors") if key in str(path)]


def spoil(store, key, how):
    [path] = payloads(store, key)
    path.chmod(0o644)
    data = path.read_bytes()
    path.write_bytes(data[:-5] if how == "truncated" else data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("how", ["truncated", "altered"])
def test_a_damaged_stage_is_set_aside_told_about_and_trained_again(bench, how):
    made = schedule({"m": {"model": SMALL}})
    first = bench.run(made)["m"]
    good = bench.model_bytes(first)
    spoil(bench.store, first.key, how)
    second = bench.run(made)["m"]
    assert not second.reused
    assert bench.model_bytes(second) == good
    [told] = [text for text in bench.told if "is damaged" in text]
    assert first.key[:12] in told
    assert "quarantine" in told


def test_a_damaged_hint_phase_is_trained_again_to_the_same_student(bench, monkeypatch):
    hinted = {"hints": [HINT], "hint_phase": {"epochs": 2}}
    bench.run(pair(hinted))
    job = bench.jobs(pair(hinted))["student"]
    good = bench.store.get(job.keys.hint_key).read("modules.safetensors")
    spoil(bench.store, job.keys.hint_key, "altered")
    calls = counted(monkeypatch, "run_hints")
    other = bench.run(pair({**hinted, "soft": {"temperature": 9}}))["student"]
    assert calls == ["student"]
    assert not other.hints_reused
    assert bench.store.get(job.keys.hint_key).read("modules.safetensors") == good


def test_a_snapshot_that_is_damaged_is_trained_again(bench):
    stages = {
        "teacher": {"model": NORMED, "epochs": 3},
        "student": {"model": SMALL, "source": {"stage": "teacher", "epoch": 1}},
    }
    bench.run(schedule(stages))
    job = bench.jobs(schedule(stages))["teacher"]
    spoil(bench.store, job.snapshots[0].key, "truncated")
    watcher = Watcher()
    results = bench.run(schedule(stages), watcher)
    assert not results["teacher"].reused
    assert results["student"].reused
    assert bench.store.get(job.snapshots[0].key, verify=True) is not None


@pytest.mark.parametrize("how", ["altered", "removed"])
def test_a_source_that_is_lost_after_it_was_obtained_is_named_and_can_be_made_again(bench, how):
    jobs = bench.jobs(pair({}))
    teacher = bench.obtain(jobs["teacher"])
    if how == "altered":
        spoil(bench.store, teacher.key, "altered")
    else:
        bench.store.gc(keep=(), grace_s=0)
    words = {"altered": "is damaged, and was quarantined", "removed": "is no longer in the store"}
    with pytest.raises(
        SourceMissingError, match=rf"teacher: its stored result {teacher.key[:12]} {words[how]}"
    ) as caught:
        bench.obtain(jobs["student"])
    assert pickle.loads(pickle.dumps(caught.value)).key == teacher.key
    assert not bench.obtain(jobs["teacher"]).reused
    assert bench.obtain(jobs["student"]).record["epochs"] > 0


def test_a_store_that_is_full_loses_nothing_and_the_next_run_goes_on(bench, monkeypatch):
    made = schedule({"m": {"model": SMALL, "epochs": 3}})
    with monkeypatch.context() as patch:

        def full(*args, **kwargs):
            raise OSError(28, "No space left on device")

        patch.setattr(type(bench.store._disk), "add_all", full)
        with pytest.raises(StoreError, match=r"No space left|full"):
            bench.run(made)
    assert bench.run(made)["m"].record["epochs"] == 3


def test_a_stage_s_checkpoints_go_when_it_is_done(bench, tmp_path):
    other = bench.fresh(tmp_path / "other", save_every_s=0)
    made = pair({"hints": [HINT], "hint_phase": {"epochs": 2}})
    saved = []
    real = other.store.save_progress
    other.store.save_progress = lambda key, *rest: (saved.append(key), real(key, *rest))[1]
    other.run(made)
    assert len(saved) == 1 + 2 + 2  # teacher, hint phase, student
    assert all(other.store.load_progress(key) is None for key in set(saved))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(bench, tmp_path):
    made = schedule({"m": {"model": SMALL, "epochs": 4}})
    whole = bench.run(made)["m"]
    other = bench.fresh(tmp_path / "other", save_every_s=0)
    other.run(made, Watcher(stop_at=3))
    slots = sorted(payloads(other.store, whole.key))
    assert len(slots) == 2
    slots[-1].chmod(0o644)
    slots[-1].write_bytes(b"no tensors")
    watcher = Watcher()
    result = other.run(made, watcher)["m"]
    assert [seen.epoch for seen in watcher.seen] == [2, 3, 4]  # epoch 2 was whole
    assert [seen.resumed for seen in watcher.seen] == [True, False, False]
    assert other.model_bytes(result) == bench.model_bytes(whole)
    assert any("a checkpoint of" in text and "is damaged" in text for text in other.told)


class Shelf:
    """A store whose lease is taken until it was waited for twice."""

    def __init__(self):
        self.waits, self.made = 0, None

    def lease(self, key):
        return None if self.waits < 2 else self

    def wait(self, key):
        self.waits += 1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def test_once_waits_looks_again_and_makes_under_the_lease(monkeypatch):
    monkeypatch.setattr("dmtsearch.training.stage_store.time.sleep", lambda seconds: None)
    shelf, looks, waits = Shelf(), [], []
    result = once(
        shelf,
        "k",
        look=lambda: looks.append(1),
        make=lambda: "made",
        on_wait=lambda: waits.append(1),
    )
    assert result == "made"
    assert len(waits) == 1  # told once, however often it waits
    assert len(looks) == 4  # before each try, and once more under the lease


def test_a_stage_that_was_committed_between_look_and_lease_is_taken():
    shelf = Shelf()
    shelf.waits = 2
    found = iter([None, "found"])
    result = once(
        shelf,
        "k",
        look=lambda: next(found),
        make=lambda: pytest.fail("made twice"),
        on_wait=lambda: None,
    )
    assert result == "found"


def test_the_winner_s_result_is_returned_where_two_finish(bench, monkeypatch):
    # Leases only avoid waste: a second commit of a key gets the first one's record.
    made = schedule({"m": {"model": SMALL}})
    monkeypatch.setattr(bench.store, "lease", lambda key: Shelf())
    job = bench.jobs(made)["m"]
    first = bench.obtain(job)
    looks = iter([None, None])
    monkeypatch.setattr("dmtsearch.training.cached_stage._finished", lambda *args: next(looks))
    monkeypatch.setattr(
        "dmtsearch.training.training_kind.stage_record",
        lambda *args, **kw: {**stage_record(*args, **kw), "name": "late"},
    )
    assert bench.obtain(job).record == first.record


class SlowStorage(fsspec.get_filesystem_class("memory")):
    """Object storage whose checkpoints take their time, or meet an error."""

    protocol = "slow"

    def __init__(self, *args, act=lambda path: None, **more):
        super().__init__(*args, **more)
        self.act = act

    def pipe_file(self, path, value, mode="overwrite", **more):
        self.act(path)
        super().pipe_file(path, value, mode=mode, **more)


def remote_bench(data, folder, act):
    fs = SlowStorage(act=act, skip_instance_cache=True)
    return Workbench(data, Store(RemoteDisk(fs, f"/{folder.name}", "slow://x")), save_every_s=0.0)


def test_an_upload_of_a_checkpoint_does_not_hold_up_training_and_is_whole_at_a_stop(
    data, bench, tmp_path
):
    made = schedule({"m": {"model": SMALL, "epochs": 4}})
    uploading, go_on = threading.Event(), threading.Event()

    def slow(path):
        if "/progress/" in path and path.endswith(".safetensors"):
            uploading.set()
            assert go_on.wait(60), "training waited for its checkpoint"

    def listen(progress):
        if progress.epoch == 2:
            assert uploading.wait(60)  # the first epoch's, beside the second
            go_on.set()
        return Decision.STOP if progress.epoch == 3 else Decision.CONTINUE

    slowly = remote_bench(data, tmp_path, slow)
    job = slowly.jobs(made)["m"]
    assert isinstance(slowly.obtain(job, listen), Stopped)
    watcher = Watcher()
    again = Workbench(data, Store(slowly.store._disk), save_every_s=0.0)
    result = again.obtain(job, watcher)
    assert [epoch for _, _, epoch in watcher.epochs] == [3, 4]
    assert again.model_bytes(result) == bench.model_bytes(bench.obtain(bench.jobs(made)["m"]))
    assert {one.status for one in again.store.ls()} == {"done"}


@pytest.mark.parametrize("epochs", [1, 3])
def test_an_upload_that_fails_fails_the_stage_as_a_checkpoint_does(data, tmp_path, epochs):
    def full(path):
        if "/progress/" in path:
            raise OSError(errno.ENOSPC, "No space left on device")

    slowly = remote_bench(data, tmp_path, full)
    job = slowly.jobs(schedule({"m": {"model": SMALL, "epochs": epochs}}))["m"]
    with pytest.raises(StoreError, match=r"the store at slow://x is full: could not save a check"):
        slowly.obtain(job)
    assert slowly.store.holder(job.keys.key) is None
