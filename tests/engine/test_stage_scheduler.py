"""The stage scheduler: one training for all trials that request it, and none for nobody."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from engine_pieces import Found, Scheduling, all_done, in_loop, record_of, scheduling, stage_of

from dmtsearch.engine import (
    ClusterNode,
    Needs,
    Pulse,
    RunnableStage,
    RunnableTrial,
    lost_outcome,
)
from dmtsearch.files import sha256_text


async def events_of(here: Scheduling) -> list[tuple[str, int, str]]:
    found = await here.scheduler.snapshot("", 0)
    return [(e.request.name, e.trial, e.outcome.status) for e in found["events"]]


@in_loop
async def test_a_stage_that_two_trials_request_at_the_same_moment_runs_once() -> None:
    here = scheduling()
    calls = [await here.request(trial, stage_of("teacher")) for trial in (0, 1)]
    here.tasks.end("teacher")
    answers = await asyncio.gather(*calls)
    assert here.tasks.started == ["teacher"]
    assert [answer.status for answer in answers] == ["done", "done"]
    assert await events_of(here) == [("teacher", 0, "done")]


@in_loop
async def test_a_finished_stage_is_answered_from_memory_with_no_second_event() -> None:
    here = scheduling()
    call = await here.request(0, stage_of("teacher"))
    here.tasks.end("teacher")
    await call
    assert (await here.scheduler.get_stage(1, stage_of("teacher"))).status == "done"
    assert here.tasks.started == ["teacher"]
    assert len(await events_of(here)) == 1


@in_loop
async def test_a_stage_in_the_store_runs_no_task() -> None:
    here = scheduling()
    rows = [{"phase": "train", "epoch": 1, "val_accuracy": 0.25}]
    here.memory.objects[sha256_text("teacher")] = Found(record_of(history=rows))
    answer = await here.scheduler.get_stage(0, stage_of("teacher"))
    assert list(answer.history) == rows
    assert here.tasks.started == []


@in_loop
async def test_a_stage_without_a_snapshot_that_others_learn_from_is_no_hit() -> None:
    here = scheduling()
    here.memory.objects[sha256_text("teacher")] = Found(record_of())
    await here.request(0, stage_of("teacher", snapshots=("epoch-2",)))
    assert here.tasks.started == ["teacher"]


@in_loop
async def test_the_longest_way_goes_first_and_only_what_fits_is_started() -> None:
    here = scheduling(cpus=1)
    await here.request(0, stage_of("running"))
    await here.request(0, stage_of("short", path_cost=10))
    await here.request(1, stage_of("long", path_cost=1000))
    assert here.tasks.started == ["running"]
    here.tasks.end("running")
    await all_done()
    assert here.tasks.started == ["running", "long"]


@in_loop
async def test_a_trial_with_a_longer_way_moves_a_waiting_stage_up() -> None:
    here = scheduling(cpus=1)
    await here.request(0, stage_of("running"))
    await here.request(0, stage_of("middle", path_cost=50))
    await here.request(1, stage_of("shared", path_cost=10))
    await here.request(2, stage_of("shared", path_cost=99))
    here.tasks.end("running")
    await all_done()
    assert here.tasks.started == ["running", "shared"]


@in_loop
async def test_a_small_stage_passes_a_large_one_that_does_not_fit_now() -> None:
    here = scheduling(cpus=2)
    await here.request(0, stage_of("running"))
    await here.request(1, stage_of("large", path_cost=1000, cpu=2))
    await here.request(2, stage_of("small", path_cost=1))
    assert here.tasks.started == ["running", "small"]


@in_loop
async def test_nothing_passes_a_stage_that_has_waited_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dmtsearch.engine.stage_scheduler.PATIENCE_S", 0.0)
    here = scheduling(cpus=2)
    await here.request(0, stage_of("running"))
    await here.request(1, stage_of("large", path_cost=1000, cpu=2))
    await here.request(2, stage_of("small", path_cost=1))
    assert here.tasks.started == ["running"]


@in_loop
async def test_a_stage_is_booked_on_the_gpu_that_its_process_has() -> None:
    here = scheduling(cpus=8, gpus=2)
    for number, name in enumerate(("one", "two")):
        await here.request(number, stage_of(name, gpu=0.4))
        key, attempt = sha256_text(name), here.tasks.attempts[name]
        pulse = Pulse("one", "machine", number, 1, 0.0, gpus=(f"GPU-{number}",))
        await here.scheduler.beat(key, attempt, pulse)
    await here.request(2, stage_of("whole", gpu=1))
    assert here.tasks.started == ["one", "two"]  # by the account's own guess they share one
    here.tasks.end("two")
    await all_done()
    assert here.tasks.started == ["one", "two", "whole"]


@in_loop
async def test_a_stage_of_the_store_says_what_others_will_need_of_a_gpu() -> None:
    node = ClusterNode("one", cpu=8, gpu=1, memory=1e9, gpu_bytes=16_000_000_000)
    needs = Needs(gpu=0.25, gpu_bytes=8_000_000_000)
    here = scheduling(nodes=[node])
    stages = [replace(stage_of(name), needs=needs) for name in ("before", "teacher", "after")]
    await here.request(0, stages[0])
    here.memory.objects[sha256_text("teacher")] = Found(record_of(gpu_bytes=1_900_000_000))
    await here.scheduler.get_stage(1, stages[1])
    here.tasks.end("before")
    await all_done()
    await here.request(2, stages[2])
    assert [here.tasks.needs[name].gpu for name in ("before", "after")] == [1.0, 0.125]


@in_loop
async def test_a_stage_that_no_node_can_hold_fails_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dmtsearch.engine.stage_room.INFEASIBLE_S", 0.1)
    here = scheduling(cpus=2)
    answer = await asyncio.wait_for(here.scheduler.get_stage(0, stage_of("huge", cpu=8)), 5)
    assert answer.status == "failed"
    assert answer.reason == (
        "stage 'huge' requests 8 CPU, but the largest node has 2 CPU and no GPU; lower its "
        "`resources`"
    )


@in_loop
async def test_a_prune_stops_an_unshared_stage_at_its_next_epoch() -> None:
    here = scheduling()
    await here.request(0, stage_of("student"))
    assert await here.progress("student", 1) is True
    await here.scheduler.release([0])
    assert await here.progress("student", 2) is False


@in_loop
async def test_a_prune_leaves_a_stage_that_another_trial_waits_for() -> None:
    here = scheduling()
    await here.request(0, stage_of("teacher"))
    other = await here.request(1, stage_of("teacher"))
    await here.scheduler.release([0])
    assert await here.progress("teacher", 1) is True
    here.tasks.end("teacher")
    assert (await other).status == "done"


@in_loop
async def test_a_stage_that_is_to_stop_goes_on_when_another_trial_requests_it_meanwhile() -> None:
    here = scheduling()
    await here.request(0, stage_of("student"))
    await here.scheduler.release([0])
    assert await here.progress("student", 1) is False
    call = await here.request(1, stage_of("student"))
    here.tasks.end("student", "stopped")
    await all_done()
    assert here.tasks.started == ["student", "student"]
    here.tasks.end("student")
    assert (await call).status == "done"


@in_loop
async def test_a_waiting_stage_that_nobody_needs_any_more_never_starts() -> None:
    here = scheduling(cpus=1)
    await here.request(0, stage_of("running"))
    await here.request(1, stage_of("next"))
    await here.scheduler.release([1])
    here.tasks.end("running")
    await all_done()
    assert here.tasks.started == ["running"]


@in_loop
async def test_a_request_of_a_trial_that_is_over_starts_nothing() -> None:
    # Ray sends a call again after a restart of the scheduler, also one of a stopped trial.
    here = scheduling()
    await here.scheduler.release([0])
    assert (await here.scheduler.get_stage(0, stage_of("student"))).status == "interrupted"
    assert here.tasks.started == []


@in_loop
async def test_draining_answers_every_pending_call_and_stops_what_runs() -> None:
    here = scheduling(cpus=1)
    calls = [
        await here.request(0, stage_of("running")),
        await here.request(1, stage_of("waiting")),
    ]
    unknown = [
        asyncio.create_task(call) for call in (here.scheduler.finish(7), here.scheduler.claim("c"))
    ]
    await all_done()
    await here.scheduler.drain()
    assert [answer.status for answer in await asyncio.gather(*calls)] == ["interrupted"] * 2
    assert (await unknown[0]).status == "interrupted"
    assert (await unknown[1]).answer.status == "interrupted"
    assert (await here.scheduler.finish(8)).status == "interrupted"
    assert (await here.scheduler.claim("d")).trial is None
    assert await here.progress("running", 1) is False


@in_loop
async def test_a_stage_that_a_drain_stops_is_left_to_the_next_driver_to_write_down() -> None:
    here = scheduling()
    await here.request(0, stage_of("needed"))
    await here.request(1, stage_of("pruned"))
    await here.scheduler.release([1])
    await here.scheduler.drain()
    for name in ("needed", "pruned"):
        here.tasks.end(name, "stopped", history=({"phase": "train", "epoch": 1},))
    await all_done()
    assert await events_of(here) == [("pruned", 1, "stopped")]


@in_loop
async def test_a_start_of_before_a_restart_of_the_scheduler_is_to_stop() -> None:
    here = scheduling()
    await here.request(0, stage_of("student"))
    here.tasks.attempts["student"] = "an older one"
    assert await here.progress("student", 1) is False


@in_loop
async def test_a_failed_stage_fails_all_who_wait_and_may_be_requested_again() -> None:
    here = scheduling()
    calls = [await here.request(trial, stage_of("teacher")) for trial in (0, 1)]
    here.tasks.end("teacher", "failed", reason="diverged", certain=True)
    assert [answer.reason for answer in await asyncio.gather(*calls)] == ["diverged"] * 2
    await here.request(2, stage_of("teacher"))
    assert here.tasks.started == ["teacher", "teacher"]


@in_loop
async def test_a_fault_is_tried_three_times_and_then_answered_as_a_fault_of_the_machine() -> None:
    here = scheduling(pauses_s=(0.0, 0.0))
    call = await here.request(0, stage_of("teacher"))
    for number in (1, 2, 3):
        assert here.tasks.started == ["teacher"] * number
        here.tasks.end("teacher", "failed", reason="the store cannot be reached")
        await all_done()
    answer = await asyncio.wait_for(call, 5)
    assert (answer.status, answer.reason) == ("fault", "the store cannot be reached")
    assert await events_of(here) == [], "the ledger hears nothing of it"


@in_loop
async def test_nodes_that_leave_do_not_count_as_faults_of_their_stage_until_the_tenth() -> None:
    here = scheduling(pauses_s=(0.0, 0.0))
    call = await here.request(0, stage_of("teacher"))
    lost = lost_outcome("teacher", RuntimeError("gone"), None)
    left = lost_outcome("teacher", RuntimeError("gone"), None, with_node=True)
    ends = [left, left, lost, left, lost] + [left] * 6
    for number, end in enumerate(ends, start=1):
        assert here.tasks.started == ["teacher"] * number
        here.tasks.end("teacher", "failed", reason=end.reason, cause=end.cause)
        await all_done()
    here.tasks.end("teacher", "failed", reason="the tenth node", cause=left.cause)
    answer = await asyncio.wait_for(call, 5)
    assert (answer.status, answer.reason) == ("fault", "the tenth node")


@in_loop
async def test_a_fault_that_passes_leaves_no_trace_in_the_answer() -> None:
    here = scheduling(pauses_s=(0.0, 0.0))
    call = await here.request(0, stage_of("teacher"))
    here.tasks.end("teacher", "failed", reason="lost")
    await all_done()
    here.tasks.end("teacher")
    assert (await asyncio.wait_for(call, 5)).status == "done"
    assert await events_of(here) == [("teacher", 0, "done")]


@in_loop
async def test_what_waiting_cannot_help_is_not_tried_again() -> None:
    here = scheduling()
    call = await here.request(0, stage_of("teacher"))
    here.tasks.end("teacher", "failed", reason="the store is full", again=False)
    assert (await asyncio.wait_for(call, 5)).status == "fault"
    assert here.tasks.started == ["teacher"]


@in_loop
async def test_the_same_unexpected_end_twice_is_an_answer() -> None:
    here = scheduling(pauses_s=(0.0, 0.0))
    call = await here.request(0, stage_of("teacher"))
    for _ in range(2):
        here.tasks.end("teacher", "failed", reason="it crashed", cause="crash at net.py:3")
        await all_done()
    answer = await asyncio.wait_for(call, 5)
    assert (answer.status, answer.reason) == ("failed", "it crashed")
    assert await events_of(here) == [("teacher", 0, "failed")]


@in_loop
async def test_a_source_that_is_gone_is_made_again_though_memory_knows_it_as_done() -> None:
    here = scheduling(pauses_s=(0.0, 0.0))
    teacher, student = stage_of("teacher"), learns_from("student", "teacher")
    await here.scheduler.add_trial(trial_of(0, teacher, student))
    await all_done()
    here.tasks.end("teacher")
    await all_done()
    call = await here.request(0, student)
    del here.memory.objects[teacher.key]
    here.tasks.end("student", "failed", reason="teacher is gone", missing=(teacher.key,))
    await all_done()
    assert here.tasks.started == ["teacher", "student", "teacher"]
    here.tasks.end("teacher")
    await all_done()
    here.tasks.end("student")
    assert (await asyncio.wait_for(call, 5)).status == "done"
    assert here.tasks.started == ["teacher", "student", "teacher", "student"]


@in_loop
async def test_a_snapshot_that_is_gone_makes_its_stage_again_and_its_failure_is_the_answer() -> (
    None
):
    here = scheduling(pauses_s=(0.0, 0.0))
    teacher = stage_of("teacher", snapshots=(sha256_text("epoch-2"),))
    student = learns_from("student", "teacher")
    await here.scheduler.add_trial(trial_of(0, teacher, student))
    await all_done()
    here.tasks.end("teacher")
    await all_done()
    call = await here.request(0, student)
    here.tasks.end("student", "failed", reason="gone", missing=(sha256_text("epoch-2"),))
    await all_done()
    assert here.tasks.started == ["teacher", "student", "teacher"]
    here.tasks.end("teacher", "failed", reason="diverged", certain=True)
    answer = await asyncio.wait_for(call, 5)
    assert (answer.status, answer.reason) == ("failed", "diverged")


@in_loop
async def test_a_drain_ends_what_waits_for_its_next_start() -> None:
    here = scheduling(pauses_s=(60.0, 60.0))
    call = await here.request(0, stage_of("teacher"))
    here.tasks.end("teacher", "failed", reason="lost")
    await all_done()
    await here.scheduler.drain()
    assert (await asyncio.wait_for(call, 5)).status == "interrupted"


@in_loop
async def test_a_stage_whose_only_node_has_left_is_no_answer_about_its_schedule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NODES_EVERY_S", "LOST_NODE_S"):
        monkeypatch.setattr(f"dmtsearch.engine.stage_room.{name}", 0.0)
    here = scheduling(cpus=8)
    here.nodes[:] = [replace(here.nodes[0], name="small", cpu=2.0)]
    answer = await asyncio.wait_for(here.scheduler.get_stage(0, stage_of("huge", cpu=8)), 10)
    assert answer.status == "fault"
    assert answer.reason == (
        "the node that could run stage 'huge' (8 CPU) has left the cluster, and the largest node "
        "has 2 CPU and no GPU"
    )


@in_loop
async def test_a_watched_epoch_waits_for_the_word_of_its_pruner() -> None:
    here = scheduling()
    ending = await begin_watched(here)
    epoch = asyncio.create_task(here.progress("student", 1))
    history = await here.scheduler.follow(0, 0)
    assert len(history) == 1
    await all_done()
    assert not epoch.done()
    follow = asyncio.create_task(here.scheduler.follow(0, 1))
    assert await epoch is True
    here.tasks.end("student")
    answer = await ending
    assert (answer.status, answer.stage, len(answer.history)) == ("done", "student", 4)
    assert await follow == ()


@in_loop
async def test_a_pruned_trial_runs_no_epoch_after_the_one_that_decided() -> None:
    here = scheduling()
    await begin_watched(here)
    epoch = asyncio.create_task(here.progress("student", 1))
    await here.scheduler.follow(0, 0)
    await here.scheduler.release([0])
    assert await epoch is False


@in_loop
async def test_a_pruner_that_says_nothing_does_not_hold_a_stage_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dmtsearch.engine.stage_scheduler.APPROVAL_S", 0.1)
    here = scheduling()
    await begin_watched(here)
    assert await here.progress("student", 1) is True


async def begin_watched(here: Scheduling) -> "asyncio.Task[Any]":
    """A trial of one stage, which a pruner watches, meets its coordinator."""
    await here.scheduler.add_trial(trial_of(0, stage_of("student"), watched=True))
    ending = asyncio.create_task(here.scheduler.finish(0))
    await all_done()
    return ending


@in_loop
async def test_the_first_coordinators_wait_for_one_another() -> None:
    here = scheduling(first=2)
    early = asyncio.create_task(here.scheduler.hello(100))
    await all_done()
    assert not early.done()
    await here.scheduler.hello(101)
    assert await early == here.scheduler.life


@in_loop
async def test_fewer_coordinators_than_thought_are_not_waited_for() -> None:
    here = scheduling(first=4)
    early = asyncio.create_task(here.scheduler.hello(100))
    await all_done()
    await here.scheduler.expect(1)
    await asyncio.wait_for(early, 1)


@in_loop
async def test_a_coordinator_that_comes_to_a_restarted_scheduler_waits_for_nobody() -> None:
    here = scheduling(first=4)
    await here.scheduler.expect(0)
    await asyncio.wait_for(here.scheduler.hello(100), 1)


@in_loop
async def test_nobody_waits_longer_than_the_barrier_holds() -> None:
    here = scheduling(first=2, barrier_s=0.1)
    started = time.monotonic()
    await here.scheduler.hello(100)
    assert 0.05 < time.monotonic() - started < 5


@in_loop
async def test_a_coordinator_gets_a_trial_that_is_over_whether_it_or_the_trial_comes_first() -> (
    None
):
    here = scheduling()
    early = asyncio.create_task(here.scheduler.claim("first"))
    await all_done()
    await here.scheduler.add_trial(trial_of(3, stage_of("student")))
    await here.scheduler.add_trial(trial_of(4, stage_of("other")))
    await all_done()
    here.tasks.end("other")
    await all_done()
    late = asyncio.create_task(here.scheduler.claim("second"))
    here.tasks.end("student")
    first, second = await asyncio.wait_for(asyncio.gather(early, late), 5)
    assert (first.trial, first.answer.status, first.answer.stage) == (4, "done", "other")
    assert (second.trial, second.answer.status, second.answer.stage) == (3, "done", "student")
    # One that died and has started again asks again.
    assert (await here.scheduler.claim("first")).trial == 4


@in_loop
async def test_the_trial_of_a_coordinator_that_is_no_more_is_another_s() -> None:
    here = scheduling()
    dead = [asyncio.create_task(here.scheduler.claim(name)) for name in ("dead", "dead", "idle")]
    await all_done()
    await here.scheduler.unclaim("idle")
    assert (await dead.pop()).trial is None
    await here.scheduler.add_trial(trial_of(3, stage_of("student")))
    await all_done()
    here.tasks.end("student")
    assert [(await one).trial for one in dead] == [3, 3]
    other = asyncio.create_task(here.scheduler.claim("other"))
    await all_done()
    assert not other.done()
    await here.scheduler.unclaim("dead")
    assert (await asyncio.wait_for(other, 5)).trial == 3
    await here.scheduler.release([3])
    await here.scheduler.unclaim("other")
    none = asyncio.create_task(here.scheduler.claim("none"))
    await all_done()
    assert not none.done()
    await here.scheduler.drain()
    assert (await none).trial is None


@in_loop
async def test_a_trial_is_let_go_of_before_the_driver_learns_what_happened() -> None:
    here = scheduling()
    call = await here.request(4, stage_of("teacher"))
    here.tasks.end("teacher")
    await call
    await here.request(4, stage_of("other"))
    found = await here.scheduler.end_trials([4], "", 0)
    assert [event.request.name for event in found["events"]] == ["teacher"]
    assert await here.progress("other", 1) is False
    assert (await here.scheduler.get_stage(4, stage_of("student"))).status == "interrupted"


def trial_of(number: int, *stages: RunnableStage, watched: bool = False) -> RunnableTrial:
    return RunnableTrial(number, "search", stages, stages[-1].request.name, watched)


def learns_from(name: str, *sources: str) -> RunnableStage:
    stage = stage_of(name)
    return replace(stage, request=replace(stage.request, sources=sources))


@in_loop
async def test_a_trial_runs_without_a_coordinator_each_stage_after_its_sources() -> None:
    here = scheduling(cpus=3)
    one, two = stage_of("one"), stage_of("two")
    student = learns_from("student", "one", "two")
    await here.scheduler.add_trial(trial_of(0, one, two, student))
    await here.scheduler.add_trial(trial_of(1, one, learns_from("other", "one")))
    await all_done()
    assert here.tasks.started == ["one", "two"]
    here.tasks.end("one")
    await all_done()
    assert here.tasks.started == ["one", "two", "other"]
    here.tasks.end("two")
    here.tasks.end("other")
    await all_done()
    assert here.tasks.started[3:] == ["student"]
    here.tasks.end("student")
    await all_done()
    events = [("one", 0), ("two", 0), ("other", 1), ("student", 0)]
    assert await events_of(here) == [(name, trial, "done") for name, trial in events]
    assert [(await here.scheduler.claim(name)).trial for name in ("a", "b")] == [1, 0]


@in_loop
async def test_a_trial_ends_with_its_first_stage_that_fails_which_is_not_tried_again() -> None:
    here = scheduling()
    teacher = stage_of("teacher")
    await here.scheduler.add_trial(trial_of(0, teacher, learns_from("student", "teacher")))
    await all_done()
    here.tasks.end("teacher", "failed", reason="out of luck", certain=True)
    for _ in range(2):
        answer = (await asyncio.wait_for(here.scheduler.claim("one"), 5)).answer
        assert (answer.status, answer.stage, answer.reason) == ("failed", "teacher", "out of luck")
    assert here.tasks.started == ["teacher"]


@in_loop
async def test_a_trial_that_is_added_again_walks_on_and_after_its_end_begins_nothing() -> None:
    here = scheduling()
    trial = trial_of(0, stage_of("teacher"), learns_from("student", "teacher"), watched=True)
    for _ in range(2):
        await here.scheduler.add_trial(trial)
        await all_done()
    assert here.tasks.started == ["teacher"]
    ending = asyncio.create_task(here.scheduler.finish(0))
    await all_done()
    await here.scheduler.release([0])
    assert not await here.progress("teacher", 1)
    here.tasks.end("teacher", "stopped")
    assert (await asyncio.wait_for(ending, 5)).status == "interrupted"
    await here.scheduler.add_trial(trial)
    assert (await here.scheduler.finish(0)).status == "interrupted"
    assert await here.scheduler.follow(0, 0) == ()
    assert here.tasks.started == ["teacher"]
    claim = asyncio.create_task(here.scheduler.claim("one"))
    await all_done()
    assert not claim.done()
    claim.cancel()


@in_loop
async def test_a_trial_whose_result_is_gone_from_the_store_makes_it_again() -> None:
    here = scheduling()
    student = stage_of("student")
    await here.scheduler.add_trial(trial_of(0, student))
    await all_done()
    here.tasks.end("student")
    assert (await here.scheduler.claim("one")).answer.status == "done"
    here.memory.objects.clear()
    await here.scheduler.forget([sha256_text("another")])
    await here.scheduler.forget([student.key])
    again = asyncio.create_task(here.scheduler.claim("two"))
    await all_done()
    assert here.tasks.started == ["student", "student"]
    here.tasks.end("student")
    await all_done()
    assert not again.done(), "it still is the first coordinator's"
    await here.scheduler.unclaim("one")
    assert (await asyncio.wait_for(again, 5)).answer.status == "done"


@in_loop
async def test_a_delivered_stage_with_a_pruner_begins_with_its_coordinator() -> None:
    here = scheduling()
    teacher, student = stage_of("teacher"), learns_from("student", "teacher")
    await here.scheduler.add_trial(trial_of(0, teacher, student, watched=True))
    await all_done()
    here.tasks.end("teacher")
    claim = await asyncio.wait_for(here.scheduler.claim("one"), 5)
    assert (claim.trial, claim.watched, claim.answer.status) == (0, True, "done")
    assert here.tasks.started == ["teacher"]
    ending = asyncio.create_task(here.scheduler.finish(0))
    await all_done()
    assert here.tasks.started == ["teacher", "student"]
    ending.cancel()


@in_loop
async def test_a_coordinator_whose_scheduler_starts_again_waits_for_its_trial() -> None:
    here = scheduling()
    ending = asyncio.create_task(here.scheduler.finish(0))
    await all_done()
    assert not ending.done()
    await here.scheduler.add_trial(trial_of(0, stage_of("student"), watched=True))
    await all_done()
    here.tasks.end("student")
    assert (await asyncio.wait_for(ending, 5)).status == "done"


@in_loop
async def test_events_are_kept_until_the_driver_says_that_it_has_them() -> None:
    here = scheduling()
    call = await here.request(0, stage_of("teacher"))
    here.tasks.end("teacher")
    await call
    first = await here.scheduler.snapshot("", 0)
    assert len(first["events"]) == 1
    # Another life's numbers mean nothing here, so nothing is dropped.
    assert len((await here.scheduler.snapshot("another", 9))["events"]) == 1
    number = first["events"][0].number
    assert (await here.scheduler.snapshot(here.scheduler.life, number))["events"] == []


@in_loop
async def test_a_snapshot_says_what_runs_and_what_waits() -> None:
    here = scheduling(cpus=1)
    await here.request(4, stage_of("teacher"))
    await here.request(5, stage_of("other"))
    await here.progress("teacher", 3)
    found = await here.scheduler.snapshot("", 0)
    [running] = found["running"]
    assert (running["name"], running["trial"], running["epoch"], running["epochs"]) == (
        *("teacher", 4),
        *(3, 4),
    )
    assert found["waiting"] == ["other"]


@in_loop
async def test_an_ended_trial_s_stopped_stage_is_among_the_events_that_it_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dmtsearch.engine.stage_scheduler.SAVED_S", 60.0)
    here = scheduling()
    await here.request(0, stage_of("student"), watched=True)
    epoch = asyncio.create_task(here.progress("student", 1))
    await all_done()
    ended = asyncio.create_task(here.scheduler.end_trials([0], "", 0))
    assert not await epoch
    await all_done()  # the stage saves its epoch
    here.tasks.end("student", "stopped")
    found = await ended
    assert [event.outcome.status for event in found["events"]] == ["stopped"]


@in_loop
async def test_an_ended_trial_does_not_wait_for_a_stage_in_the_middle_of_an_epoch() -> None:
    here = scheduling()
    await here.request(0, stage_of("student"))
    found = await asyncio.wait_for(here.scheduler.end_trials([0], "", 0), 0.5)
    assert found["events"] == []
