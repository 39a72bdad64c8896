"""Sources that a process keeps for its next stages."""

import torch
from torch import nn

from dmtsearch.training import KeptSources


def net(value: float, size: int = 4) -> nn.Module:
    made = nn.Linear(size, 1, bias=False)
    nn.init.constant_(made.weight, value)
    return made


def test_what_a_stage_does_to_a_source_reaches_no_other_stage() -> None:
    kept, first = KeptSources(), net(1.0)
    kept.keep(("key", "hash"), first)
    nn.init.zeros_(first.weight)
    second = kept.copy_of(("key", "hash"))
    nn.init.zeros_(second.weight)
    second.register_forward_hook(lambda *all: None)
    third = kept.copy_of(("key", "hash"))
    assert torch.equal(third.weight, torch.ones(1, 4))
    assert not third._forward_hooks
    assert kept.copy_of(("key", "another hash")) is None


def test_the_source_that_was_not_used_for_longest_goes_first() -> None:
    kept = KeptSources(most_bytes=2 * 4 * 4)
    for mark in "ab":
        kept.keep((mark,), net(1.0))
    kept.copy_of(("a",))
    kept.keep(("c",), net(1.0))
    assert [mark for mark in "abc" if kept.copy_of((mark,)) is not None] == ["a", "c"]
    kept.keep(("d",), net(1.0, size=9))  # larger than all may be
    assert [mark for mark in "abcd" if kept.copy_of((mark,)) is not None] == ["a", "c"]
    kept.forget()
    assert kept.copy_of(("a",)) is None
