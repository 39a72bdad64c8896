"""Keys of what ships stay as they are: stores of earlier versions are not trained again."""

from pathlib import Path

import torch

from dmtsearch.data import load_data
from dmtsearch.schedule import expand, load_schedule
from dmtsearch.stage_kinds import resolve
from dmtsearch.training import make_jobs

DIGITS_CHAIN = Path(__file__).parents[2] / "search_spaces" / "digits_chain.yaml"
KEYS = {
    "teacher": ("59e727510f52296fa725d22db2d6ec70d26e335c28c0c98b4ef588d5eab52ca9", None),
    "assistant": (
        "475ac8a9cf4e549ed1e094683164d568fc89ed9b7a0a693bd3f997e056ad5de3",
        "e5bea6bb131ebec7cce1d91a78a2fc93a965d6454c94b0511647864f5a83c746",
    ),
    "student": (
        "14c78c8b724f311282bc3163f0ba8a91b5cfbd1492ae02931b7e56c269f6a4fc",
        "96d55d2f973eaae830199f9e711586bad25cef62339e1eae9988c676a2c104db",
    ),
}
"""With torch 2.9, under format 2."""


def test_the_stages_of_a_shipped_schedule_keep_their_keys(monkeypatch):
    made = load_schedule(DIGITS_CHAIN)
    spec = expand(made).data
    data = load_data(name=spec.name, train=spec.train, val=spec.val, test=spec.test)
    plan = resolve(made, data.facts, num_train=data.split_sizes["train"])
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.9.1+cpu"))
    jobs = make_jobs(plan, data, device="cpu")
    assert {job.name: (job.keys.key, job.keys.hint_key) for job in jobs} == KEYS
