"""Three Ray nodes on this machine, and searches on them that can be disturbed and compared."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "engine"), str(ROOT / "tests"), str(ROOT)]

from engine_runs import SPACE as SPACE  # noqa: E402
from engine_runs import Search, outcome_of, title_of, wait_until  # noqa: E402
from marked_stages import MARKS, Start, read_starts  # noqa: E402
from s3_server import KEY, SECRET, Line, S3Server  # noqa: E402
from small_disk import small_disk as small_disk  # noqa: E402

from dmtsearch.engine.environment import prepare_environment  # noqa: E402
from dmtsearch.engine.reaper import end_session, processes_of  # noqa: E402
from dmtsearch.store import open_store  # noqa: E402

NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}
HEAD = {"num_cpus": 0, "object_store_memory": 100 << 20, "include_dashboard": False}
STILL_S = "20"
"""A stage of which nothing has moved for so many seconds hangs: minutes, for users."""
GONE_S = 30.0
"""What a search has left behind is looked at so long after its end, at most."""


class ThreeNodes:
    """A head without CPUs, and two nodes of one CPU each."""

    def __init__(self) -> None:
        self._cluster: Any = None

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    @property
    def session(self) -> Path:
        return Path(self._cluster.head_node.get_session_dir_path())

    def start(self) -> None:
        """Start all three."""
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args=HEAD)
        os.environ.pop("RAY_ADDRESS", None)  # which the cluster has set
        self.repair()

    def stop(self, *, driver: int | None = None) -> None:
        """End all processes of the cluster, also those that live on by themselves.

        Args:
            driver: Is left alone, with the session's folder, in which it has its logs.
        """
        session = self.session
        with suppress(Exception):
            self._cluster.shutdown()
        end_session(session, driver=driver)
        if driver is None:
            shutil.rmtree(session, ignore_errors=True)

    def repair(self) -> None:
        """Let there be two nodes beside the head."""
        while len(self._cluster.worker_nodes) < 2:
            self._cluster.add_node(**NODE)

    def add(self, **environment: str) -> Any:
        """Add a node whose raylet is started with other settings."""
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            return self._cluster.add_node(**NODE)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def workers(self) -> list[Any]:
        """The nodes beside the head."""
        return list(self._cluster.worker_nodes)

    def node(self, name: str) -> Any:
        """A node by its id."""
        return next(node for node in self.workers() if node.node_id == name)

    def lose(self, node: Any, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a node's raylet a signal, wait for its end, and clear away the rest of it."""
        process = node.all_processes["raylet"][0].process
        process.send_signal(number)
        process.wait(60)
        self._cluster.remove_node(node, allow_graceful=False)

    def head_pid(self, program: str) -> int:
        """The number of the head's `raylet` or `gcs_server`."""
        return int(self._cluster.head_node.all_processes[program][0].process.pid)

    def left_of(self, session: Path) -> list[str]:
        """Processes of a session that has been ended."""
        return [title_of(pid) for pid in processes_of(session)]

    def titled(self, *titles: str) -> list[int]:
        """Living workers of the cluster whose title begins so, oldest first."""
        return sorted(
            pid for pid in processes_of(self.session) if title_of(pid).startswith(titles)
        )


class MarkedSearch(Search):
    """A command whose stages leave marks, on a cluster.

    Args:
        folder: Of everything that belongs to it.
        nodes: The cluster.
        store: Another search's, to share it.
    """

    code = "from marked_stages import main; main()"

    def __init__(self, folder: Path, nodes: ThreeNodes, *, store: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder / "run", store or folder / "store")
        self.marks = folder / "marks"
        self.marks.mkdir(exist_ok=True)
        self.nodes, self.bucket = nodes, ""

    @property
    def where(self) -> str:
        """Its store, as a user names it."""
        return self.bucket or str(self.store)

    def environment(self) -> dict[str, str]:
        more = {"DMTSEARCH_STORE": self.where, "DMTSEARCH_STILL_S": STILL_S}
        return {**super().environment(), **more, MARKS: str(self.marks)}

    def search(self, space: Path, *more: str) -> "MarkedSearch":
        super().search(space, "--address", self.nodes.address, *more)
        return self

    def resume(self, *more: str) -> "MarkedSearch":
        super().resume("--address", self.nodes.address, *more)
        return self

    # -- stages that are held ---------------------------------------------------------------

    def hold(self, stage: str, epoch: int) -> None:
        """Let a stage wait at the end of this epoch, hint phase included."""
        (self.marks / f"hold-{stage}-{epoch}").touch()

    def release(self, stage: str = "*") -> None:
        """Let a stage go on; all where none is named."""
        for path in self.marks.glob(f"hold-{stage}-*"):
            path.unlink()

    def held(self, stage: str, epoch: int, *, but: int | None = None) -> Start:
        """Wait until a stage is held, in a process other than `but`."""
        found: list[Start] = []

        def look() -> bool:
            found[:] = [
                start
                for start in self.starts()
                if start.name == stage and start.end is None and start.pid != but
                if start.rows == epoch and _alive(start.pid)
            ]
            return bool(found)

        self.hold(stage, epoch)
        wait_until(look, alive=self._process)
        time.sleep(0.2)  # it has written its line, and begins to wait
        return found[-1]

    def starts(self) -> list[Start]:
        return read_starts(self.marks)

    def said(self) -> str:
        """What the command has printed so far."""
        return self._said.read_text()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    # -- what is left -----------------------------------------------------------------------

    def left_behind(self) -> list[str]:
        """Processes, leases and temporary folders of this search, some seconds after its end."""
        until, store = time.monotonic() + GONE_S, open_store(self.where)
        while True:
            titles = ("ray::stage", "ray::ImplicitFunc", "ray::SchedulerActor")
            left = [title_of(pid) for pid in self.nodes.titled(*titles)]
            left += [path.name for path in Path(tempfile.gettempdir()).glob(f"*-{self.pid}-*")]
            left += [f"lease {key[:12]}" for key in self._keys() if store.holder(key) is not None]
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.5)

    def _keys(self) -> set[str]:
        return {start.key for start in self.starts()}


def _alive(pid: int) -> bool:
    return bool(title_of(pid))


def same_tables(mine: Search, other: Search) -> bool:
    """Whether two searches tried the same trials, with the same ends."""
    left, right = outcome_of(mine.state()), outcome_of(other.state())
    return all(left[part] == right[part] for part in ("trials", "ends", "redrawn"))


def same_bytes(mine: MarkedSearch, other: MarkedSearch) -> tuple[int, int]:
    """Objects that both stores hold, and those of them whose files differ."""
    left, right = open_store(mine.where), open_store(other.where)
    keys = [info.key for info in left.ls()]
    shared = differing = 0
    for key in keys:
        one, two = left.get(key), right.get(key)
        if one is None or two is None or one.failed:
            continue
        shared += 1
        differing += any(one.read(name) != two.read(name) for name in one.names)
    return shared, differing


@contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """What is set before Ray is imported; its workers find the modules of this folder."""
    paths = [str(Path(__file__).parent), str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    os.environ.pop("RAY_ADDRESS", None)
    prepare_environment("local", os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    yield


@contextmanager
def bucket_in(folder: Path) -> Iterator[tuple[str, Line]]:
    """An S3 server with an empty bucket, for nodes that are started now: its URL, and the way."""
    import fsspec

    folder.mkdir(parents=True, exist_ok=True)
    server, before = S3Server(folder), dict(os.environ)
    try:
        server.wait()
        line = Line(server.port)
        os.environ.update(
            AWS_ENDPOINT_URL=line.url,
            AWS_ACCESS_KEY_ID=KEY,
            AWS_SECRET_ACCESS_KEY=SECRET,
            AWS_DEFAULT_REGION="us-east-1",
            DMTSEARCH_COPIES=str(folder / "copies"),
        )
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket/store", line
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


def inline_twin(folder: Path, space: Path, nodes: ThreeNodes) -> MarkedSearch:
    """The same search, undisturbed, without Ray; one that is there already is used."""
    twin = MarkedSearch(folder, nodes)
    if twin.paths.summary.exists():
        return twin
    words = ["search", str(space), "--out", str(twin.folder), "--store", str(twin.store)]
    code = "import dmtsearch, sys; dmtsearch.search({!r}, out={!r}, store={!r}, backend='inline')"
    subprocess.run(
        [sys.executable, "-c", code.format(words[1], words[3], words[5])],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return twin
