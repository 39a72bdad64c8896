"""The Tune trainable: walks a trial's stages, asks the broker for each, tells Tune how it goes.

It computes nothing and imports no torch, so that its process is small and starts fast.
"""

import os
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune

from .orders import NAMESPACE, Answer, TrialOrders

RESOURCES = {"cpu": 0, "node:__internal_head__": 0.0001}
"""All zero is refused by Tune, and a hundredth of a CPU would take a whole slot from a stage."""


def coordinate(config: Mapping[str, Any]) -> None:
    """Run one trial. A restarted one asks for all stages again: finished ones are hits.

    Args:
        config: `trial`, its number, and `broker`, the actor's name.
    """
    broker, all_started = _meet(config["broker"])
    orders: TrialOrders = ray.get(broker.orders.remote(config["trial"]))
    walk = _Walk(broker, orders, all_started)
    outcome = walk.run() if orders.orders else {"status": "interrupted"}
    walk.report({"outcome": outcome, "done": True})


def _meet(name: str) -> tuple[Any, Any]:
    """The broker, and what says that all first coordinators have met it; asked for once."""
    if name not in _MET:
        _MET.clear()  # one run at a time in a process
        broker = ray.get_actor(name, namespace=NAMESPACE)
        _MET[name] = broker, broker.hello.remote(os.getpid())
    return _MET[name]


_MET: dict[str, tuple[Any, Any]] = {}
"""The broker that this process serves, from one trial to the next."""


class _Walk:
    """A trial on its way: what is asked for, what is there, what Tune was told."""

    def __init__(self, broker: Any, orders: TrialOrders, all_started: Any) -> None:
        self._broker, self._orders, self._trial = broker, orders, orders.trial
        self._all_started = all_started
        self._done = set(orders.done)
        self._waiting = {
            order.request.name: order
            for order in orders.orders
            if order.request.name not in self._done
        }
        self._asked: dict[Any, str] = {}
        self._following: Any = None
        self._seen = 0

    def run(self) -> dict[str, Any]:
        """Ask for each stage as soon as its sources are there; independent ones at once."""
        while True:
            self._ask()
            calls = [*self._asked, *([self._following] if self._following is not None else [])]
            ready, _ = ray.wait(calls, num_returns=1)
            call = ready[0]
            if call == self._following:
                self._pass_on(ray.get(call))
                continue
            name = self._asked.pop(call)
            answer: Answer = ray.get(call)
            if answer.status != "done":
                return {"status": answer.status, "stage": name, "reason": answer.reason}
            self._done.add(name)
            if name == self._orders.deliver:
                return self._delivered(answer)

    def report(self, facts: dict[str, Any]) -> None:
        """Tell Tune, which may end the trial in this call.

        The first trials do not end before all first coordinators have started: only then does
        Tune find a process to use again for each trial that follows.
        """
        ray.get(self._all_started)
        tune.report(facts)

    def _ask(self) -> None:
        for name, order in list(self._waiting.items()):
            if self._done.issuperset(order.request.sources):
                del self._waiting[name]
                watched = self._orders.watched and name == self._orders.deliver
                call = self._broker.obtain.remote(self._trial, order, watched)
                self._asked[call] = name
                if watched:
                    self._follow()

    def _follow(self) -> None:
        key = self._orders.delivered.key
        self._following = self._broker.follow.remote(self._trial, key, self._seen)

    def _pass_on(self, history: tuple[Mapping[str, Any], ...]) -> None:
        """Tell Tune the delivered stage's history."""
        if history:
            self._seen = len(history)
            self.report({"history": [dict(row) for row in history]})
        self._follow()

    def _delivered(self, answer: Answer) -> dict[str, Any]:
        history = answer.record["history"]
        if self._orders.watched and len(history) > self._seen:
            # It was there already, or faster than its listeners: its pruner sees it all the same.
            self.report({"history": [dict(row) for row in history]})
        return {"status": "done", "stage": self._orders.deliver, "key": self._orders.delivered.key}
