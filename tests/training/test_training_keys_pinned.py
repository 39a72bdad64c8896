"""Keys of what ships stay as they are: stores of earlier versions are not trained again."""

from pathlib import Path

import torch

from dmtsearch.data import load_data
from dmtsearch.schedule import expand, load_schedule
from dmtsearch.training.jobs import make_jobs
from dmtsearch.training.resolve import resolve

DIGITS_CHAIN = Path(__file__).parents[2] / "search_spaces" / "digits_chain.yaml"
KEYS = {
    "teacher": ("a176294b223286467d47e090c5cc339f9cde7f732f8fb984fef0d4160858ed68", None),
    "assistant": (
        "e05caa6ac13d084e8eb587676138081e2382de47365b2452bd6916a246bdbe2a",
        "077bf5ba94a1b2c988585fc2b2c6e228e0eb15fcbe311ab22dacb80288a35f41",
    ),
    "student": (
        "9e61bb731f4022141c868f8b5afa0fa7169bc0cab8ea391772da376b8cc3af09",
        "07db7be68d4df57bc154075680ad0316c07d763369a67609addaf378fa6371eb",
    ),
}
"""With torch 2.9, computed before foreign models, threads and packages counted in keys."""


def test_the_stages_of_a_shipped_schedule_keep_their_keys(monkeypatch):
    made = load_schedule(DIGITS_CHAIN)
    spec = expand(made).data
    data = load_data(name=spec.name, train=spec.train, val=spec.val, test=spec.test)
    plan = resolve(made, data.facts, num_train=data.split_sizes["train"])
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.9.1+cpu"))
    jobs = make_jobs(plan, data, device="cpu")
    assert {job.name: (job.keys.key, job.keys.hint_key) for job in jobs} == KEYS
