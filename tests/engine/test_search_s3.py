"""A whole search in object storage: a real S3 server in a process of its own."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from s3_server import SECRET, S3Server, serving
from small_searches import AfterOne, results_of, write_space
from test_secrets import SECRETS, invoke

import dmtsearch
from dmtsearch.errors import StoreError

pytestmark = pytest.mark.engine  # starts no Ray


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with serving(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.mark.usefixtures("server", "shown_at_once")
def test_a_search_in_a_bucket_goes_on_elsewhere_with_equal_tables_and_no_secret_in_it(
    undisturbed: dmtsearch.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, secret in SECRETS.items():
        if not name.startswith("AWS"):  # the server's own is planted already
            monkeypatch.setenv(name, secret)
    store, run = "s3://bucket/store", tmp_path / "run"
    interrupt = AfterOne(lambda: os.kill(os.getpid(), signal.SIGINT))
    begun = dmtsearch.search(
        write_space(tmp_path), out=run, store=store, backend="inline", view=interrupt
    )
    assert begun.ended == "interrupted"
    monkeypatch.setenv("DMTSEARCH_COPIES", str(tmp_path / "another machine"))
    shown = invoke("resume", run)
    shown += invoke("report", run, "--out", tmp_path / "report")
    shown += invoke("store", "verify", "--store", store)
    found = dmtsearch.Run(run)
    assert results_of(found) == results_of(undisturbed)
    assert list(found.stages["status"]) == list(undisturbed.stages["status"])

    bucket = fsspec.filesystem("s3")
    bucket.invalidate_cache()
    objects = {path: bucket.cat_file(path) for path in bucket.find("bucket/store")}
    assert {path.split("/")[2] for path in objects} == {"objects"}  # no lease, no checkpoint
    assert sum(path.endswith("manifest.json") for path in objects) == 4
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.startswith(str(tmp_path / "another machine")) for path in files)
    assert f"{tmp_path}/report/report.html" in files
    for place, content in {**objects, **files, "the screen": shown.encode()}.items():
        for secret in (SECRET, "planted-by-a-test"):
            assert secret.encode() not in content, place


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        ("s3://nowhere/x", "(there is no bucket 'nowhere'); make the bucket, correct the name"),
        ("s3://bucket/x", "no permission at the store s3://bucket/x: could not list it"),
    ],
    ids=["no bucket", "no rights"],
)
def test_a_bucket_that_cannot_be_used_is_refused_before_anything_starts(
    server: S3Server, tmp_path: Path, store: str, sentence: str
) -> None:
    space = write_space(tmp_path)
    server.check_rights(on=store == "s3://bucket/x")
    try:
        with pytest.raises(StoreError) as caught:
            dmtsearch.search(space, out=tmp_path / "run", store=store, backend="inline")
    finally:
        server.check_rights(on=False)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert not (tmp_path / "run").exists()
