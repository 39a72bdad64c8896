"""Which stages fit on which GPUs, compared with every way to place them. Starts no Ray."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtsearch.engine import (
    ClusterNode,
    Needs,
    Placement,
    Slots,
    choose_concurrency,
    choose_coordinators,
)

SHARES = (0.0, 0.125, 0.2, 0.25, 1 / 3, 0.5, 0.6, 1.0, 2.0)


def gpu_node(name: str = "a", gpu: float = 2, cpu: float = 16) -> ClusterNode:
    return ClusterNode(name, cpu=cpu, gpu=gpu, memory=100)


def test_a_share_is_of_one_gpu_so_that_three_large_ones_do_not_fit_on_two() -> None:
    slots = Slots([gpu_node()])
    large = Needs(gpu=0.6)
    assert [slots.take(name, large) for name in "abc"] == [
        Placement("a", (0,)),
        Placement("a", (1,)),
        None,
    ]
    assert slots.count(large) == 2
    assert slots.take("c", Needs(gpu=0.4)) == Placement("a", (0,))
    slots.free("b")
    assert slots.take("d", large) == Placement("a", (1,))


def test_shares_fill_a_gpu_that_is_in_use_and_leave_the_others_whole() -> None:
    slots = Slots([gpu_node("a"), gpu_node("b")])
    assert slots.take("first", Needs(gpu=0.25)) == Placement("a", (0,))
    assert slots.take("whole", Needs(gpu=2)) == Placement("b", (0, 1))
    assert slots.take("next", Needs(gpu=0.5)) == Placement("a", (0,))
    assert slots.take("alone", Needs(gpu=1)) == Placement("a", (1,))
    assert slots.take("no room", Needs(gpu=0.5)) is None


def test_a_stage_on_the_cpu_leaves_the_cpus_of_gpu_nodes_free() -> None:
    slots = Slots([gpu_node("with", cpu=1), gpu_node("without", gpu=0, cpu=1)])
    assert slots.take("one", Needs()) == Placement("without")
    assert slots.take("two", Needs()) == Placement("with")


def test_what_runs_stays_on_its_gpu_when_the_cluster_is_looked_at_again() -> None:
    slots = Slots([gpu_node()])
    slots.take("runs", Needs(gpu=0.6))
    slots.refresh([gpu_node()])
    assert slots.take("whole", Needs(gpu=1)) == Placement("a", (1,))
    slots.free("runs")
    assert slots.take("another", Needs(gpu=1)) == Placement("a", (0,))


def test_the_account_follows_a_stage_to_the_gpu_that_ray_has_given_it() -> None:
    slots = Slots([gpu_node("a"), gpu_node("b", gpu=0)])
    some = Needs(gpu=0.4)
    assert slots.take("one", some) == slots.take("two", some) == Placement("a", (0,))
    slots.follow("one", "a", ["GPU-of-ray"])  # a name for the first: nothing moves
    assert slots.take("whole", Needs(gpu=1)) == Placement("a", (1,))
    slots.free("whole")
    slots.follow("two", "a", ["another"])
    assert slots.take("whole", Needs(gpu=1)) is None  # none is whole any more
    assert slots.take("three", Needs(gpu=0.6)) == Placement("a", (0,))
    assert slots.take("four", Needs(gpu=0.6)) == Placement("a", (1,))
    slots.refresh([gpu_node("a")])
    slots.free("two")
    slots.free("four")
    assert slots.take("whole", Needs(gpu=1)) == Placement("a", (1,))


def test_the_account_follows_a_stage_to_another_node_and_knows_when_it_cannot() -> None:
    slots = Slots([gpu_node("a", gpu=1, cpu=1), gpu_node("b", gpu=1, cpu=1)])
    assert slots.take("one", Needs(gpu=1)) == Placement("a", (0,))
    slots.follow("one", "b", ["0"])
    assert slots.take("two", Needs(gpu=1)) == Placement("a", (0,))
    slots.follow("two", "a node that has left", ["0"])
    slots.follow("no stage of ours", "a", ["0"])
    slots.free("one")
    assert slots.take("three", Needs(gpu=1)) == Placement("b", (0,))


nodes = st.lists(
    st.builds(lambda gpu, cpu: (gpu, cpu), st.integers(0, 3), st.integers(1, 6)),
    min_size=1,
    max_size=3,
)
steps = st.lists(
    st.one_of(
        st.builds(lambda cpu, gpu: Needs(cpu=cpu, gpu=gpu), st.sampled_from((0.0, 1.0, 2.0)),
                  st.sampled_from(SHARES)),
        st.integers(0, 30),  # frees one that runs
    ),
    max_size=40,
)  # fmt: skip


@given(nodes=nodes, steps=steps)
def test_a_stage_is_refused_only_where_no_gpu_of_any_node_has_room(
    nodes: list[tuple[int, int]], steps: list[Needs | int]
) -> None:
    def holds(stages: list[tuple[Placement, Needs]], place: Placement) -> bool:
        """By what runs there: no GPU and no CPU is held more than once."""
        gpu, cpu = nodes[int(place.node)]
        there = [one for one in stages if one[0].node == place.node]
        return sum(needs.cpu for _, needs in there) <= cpu and all(
            number < gpu
            and sum(min(1, needs.gpu) for at, needs in there if number in at.gpus) <= 1 + 1e-6
            for number in place.gpus
        )

    def every_place(needs: Needs) -> list[Placement]:
        held = int(max(1, needs.gpu)) if needs.gpu else 0
        return [
            Placement(str(node), gpus)
            for node, (gpu, _) in enumerate(nodes)
            for gpus in combinations(range(gpu), held)
        ]

    slots = Slots([gpu_node(str(n), gpu, cpu) for n, (gpu, cpu) in enumerate(nodes)])
    running: dict[str, tuple[Placement, Needs]] = {}
    for number, step in enumerate(steps):
        if isinstance(step, int):
            if running:
                gone = sorted(running)[step % len(running)]
                del running[gone]
                slots.free(gone)
            continue
        others = list(running.values())
        fitting = [one for one in every_place(step) if holds([*others, (one, step)], one)]
        place = slots.take(str(number), step)
        assert (place in fitting) if fitting else (place is None)
        if place is not None:
            running[str(number)] = (place, step)


@given(nodes=nodes, gpu=st.sampled_from(SHARES), cpu=st.sampled_from((0.0, 1.0, 2.0)))
def test_so_many_equal_stages_fit_as_can_be_taken_one_after_the_other(
    nodes: list[tuple[int, int]], gpu: float, cpu: float
) -> None:
    if not gpu and not cpu:
        return  # as many as there are CPUs, by decision
    needs = Needs(cpu=cpu, gpu=gpu)
    slots = Slots([gpu_node(str(n), one, cpus) for n, (one, cpus) in enumerate(nodes)])
    taken = 0
    while slots.take(str(taken), needs) is not None:
        taken += 1
    assert slots.count(needs) == taken


@pytest.mark.parametrize("waiting", [20_000])
def test_thousands_that_want_what_is_taken_are_refused_without_a_search(waiting: int) -> None:
    looks = 0

    class Looked(ClusterNode):
        def place_for(self, needs: Needs) -> Placement | None:
            nonlocal looks
            looks += 1
            return super().place_for(needs)

    slots = Slots([Looked("a", cpu=1, gpu=0, memory=1)])
    assert slots.take("runs", Needs())
    assert not any(slots.take(str(number), Needs()) for number in range(waiting))
    assert looks == 2


def test_trials_at_once_follow_the_slots() -> None:
    assert choose_concurrency(None, 512) == 1024
    assert choose_concurrency(500, 200) == 500
    assert choose_concurrency(None, 0) == 2


def test_two_coordinators_do_unless_a_pruner_needs_more_and_the_head_has_memory_for_them() -> None:
    assert choose_coordinators(1024, 10**6, pruned=False) == 2
    assert choose_coordinators(1, None, pruned=False) == 1
    assert choose_coordinators(1024, None, pruned=True) == 1024
    assert choose_coordinators(1024, 33 * 10**9, pruned=True) == 144  # of 114 MB, half of 33 GB
    assert choose_coordinators(8, 10**6, pruned=True) == 2
    assert choose_coordinators(1, 10**6, pruned=True) == 1
