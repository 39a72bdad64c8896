"""Everything that needs a GPU, in one run: tests, step times, sharing, a whole search.

Writes `benchmarks/GPU.md` with machine, versions and n. Without a GPU it says so and changes no
file.

    make gpu                            # on a machine with the packages, or with the network
    make gpu-bundle                     # elsewhere: fills build/gpu-bundle with the wheels
    make gpu BUNDLE=build/gpu-bundle    # on a bare machine with torch: installs from there

The bundle holds all but torch, which must fit the machine's driver, and torchvision. For another
Python or platform than this one: `make gpu-bundle TARGET="--python 3.12 --platform
manylinux_2_28_x86_64"`; where files above a size cannot travel, `--part-mb 50` cuts them.
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "benchmarks" / "GPU.md"
ENVIRONMENT = ROOT / "build" / "gpu-env"
ALREADY_THERE = ("torch", "torchvision")
"""What a GPU machine brings: wheels of gigabytes that must fit its driver."""
FOR_TESTS = ("hypothesis>=6.100", "pytest>=8", "pytest-xdist>=3.6")
NEEDED = (
    *("ray", "optuna", "pydantic", "typer", "fsspec", "safetensors", "sklearn", "pandas"),
    *("matplotlib", "jinja2", "rich", "ruamel", "hypothesis", "pytest", "xdist"),
)
"""Modules without which the packages are installed first."""
VERSIONS = ("torch", "ray", "optuna", "numpy")
MB = 2**20
NO_GPU = (
    "make gpu: torch sees no GPU here, so nothing was run and benchmarks/GPU.md is as it was; run "
    "it on a machine with an NVIDIA GPU and a torch built for CUDA"
)


# -- the bundle: standard library alone ----------------------------------------------------------


def requirements() -> list[str]:
    """What the package needs, torch and torchvision aside, and what its tests need."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block is not None, "pyproject.toml lists dependencies"
    found = re.findall(r'"([^"]+)"', block[1])
    names = [(re.split(r"[\[<>=]", one)[0], one) for one in found]
    return [one for name, one in names if name not in ALREADY_THERE] + list(FOR_TESTS)


def fill_bundle(folder: Path, python: str | None, platforms: Sequence[str], part_mb: int) -> None:
    """Download the wheels into `folder`; cut those above `part_mb` MB, if that is not 0."""
    folder.mkdir(parents=True, exist_ok=True)
    target = ["--python-version", python] if python else []
    for one in platforms:
        target += ["--platform", one]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
    subprocess.run([*pip, *target, "--dest", str(folder), *requirements()], check=True)
    if part_mb:
        for wheel in sorted(folder.glob("*.whl")):
            cut(wheel, part_mb * MB)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {len(list(folder.iterdir()))} files, {size / MB:.0f} MB")


def cut(file: Path, most: int) -> None:
    """Replace a file of more than `most` bytes by FILE.part000, FILE.part001, ..."""
    if file.stat().st_size <= most:
        return
    with open(file, "rb") as whole:
        for number, part in enumerate(iter(lambda: whole.read(most), b"")):
            file.with_name(f"{file.name}.part{number:03d}").write_bytes(part)
    file.unlink()


def join_parts(folder: Path, into: Path) -> None:
    """Put the wheels of a bundle together in `into`, whether they were cut or not."""
    for file in sorted(folder.glob("*.whl*")):
        name = re.sub(r"\.part\d+$", "", file.name)
        with open(into / name, "ab") as whole, open(file, "rb") as part:
            shutil.copyfileobj(part, whole)


def lacking() -> list[str]:
    """Modules that cannot be imported here."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def run_in_environment(bundle: Path | None) -> int:
    """Make an environment beside this Python's own torch, and run this script in it."""
    python = ENVIRONMENT / "bin" / "python"
    print(f"installing {', '.join(lacking())} and what they need into {ENVIRONMENT}")
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    import torch

    # What this Python has, torch above all, comes after what is installed there.
    own = next((ENVIRONMENT / "lib").glob("python*/site-packages"))
    (own / "torch_from_outside.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")
    with tempfile.TemporaryDirectory() as whole:
        source: list[str] = []
        if bundle is not None:
            join_parts(bundle, Path(whole))
            source = ["--no-index", "-f", whole]
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *source, *requirements()], check=True
        )
    return subprocess.run([str(python), __file__, *sys.argv[1:]], check=False).returncode


# -- what is run ---------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Of processes that import the package from this checkout."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_tests() -> tuple[list[str], bool]:
    """The tests marked `gpu`: a line each, and whether all passed."""
    files = [
        str(file)
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if "pytest.mark.gpu" in file.read_text(encoding="utf-8")
    ]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "--tb=short", *files]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 5):
        print(done.stdout[-8000:], done.stderr[-2000:], sep="\n")
    rows = re.findall(r"^\S+::(\S+) (PASSED|FAILED|SKIPPED|ERROR)", done.stdout, re.MULTILINE)
    lines = [
        f"- {name.replace('_', ' ').removeprefix('test ')}: {how.lower()}" for name, how in rows
    ]
    return lines or ["- none was found"], done.returncode == 0


def time_steps(device: str, rounds: int) -> list[str]:
    """A table of milliseconds a step: bare loops, ours, compiled, as CUDA graphs."""
    import torch
    from step_time import ALONE, BARE, Job, bare, check_equal, measure, ours, spread

    from dmtsearch.training.profile import computing

    on_cuda = device.startswith("cuda")

    def clock() -> float:
        if on_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    lines = [
        "| precision | row | ms a step | quartiles | / bare loop | / student alone |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for amp in (False, True):
        torch.manual_seed(0)
        job = Job(device, amp=amp)
        with computing(job.profile):
            rows = [bare(job), ours(job, kept=False), ours(job, kept=True)]
            check_equal(rows, within=0.05 if amp else 1e-3)
            rows.append(bare(job, taught=False, adapted=False))
            if on_cuda:
                rows.append(ours(job, kept=True, compile=True))
                rows.append(ours(job, kept=True, compile=True, cuda_graphs=True))
                for row in rows:  # compiled and recorded before they are timed
                    row.epoch(0)
            times = measure(rows, rounds, clock)
        for name, values in times.items():
            low, middle, high = spread(values)
            ratios = [
                statistics.median(a / b for a, b in zip(values, times[other], strict=True))
                for other in (BARE, ALONE)
            ]
            lines.append(
                f"| {'bfloat16' if amp else 'float32'} | {name} | {middle:.2f} | {low:.2f} to "
                f"{high:.2f} | {ratios[0]:.3f} | {ratios[1]:.3f} |"
            )
    return lines


def train_alone(device: str, seconds: float) -> None:
    """Run by `share`: print how many steps one process trains in `seconds` once told to start."""
    import torch
    from step_time import STEPS, Job, ours

    from dmtsearch.training.profile import computing

    job = Job(device, amp=device.startswith("cuda"))
    with computing(job.profile):
        row = ours(job, kept=True)
        row.epoch(0)
        print("ready", flush=True)
        sys.stdin.readline()
        until, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            row.epoch(1 + steps // STEPS)
            steps += STEPS
    memory = torch.cuda.max_memory_reserved() / MB if device.startswith("cuda") else 0.0
    print(json.dumps({"steps": steps, "memory_mb": memory}), flush=True)


def share(device: str, most: int, seconds: float) -> list[str]:
    """A table of steps a second with one to `most` stages at once on one device."""
    lines = [
        "| stages at once | steps/s in all | / one stage | MB of GPU memory each |",
        "| --- | --- | --- | --- |",
    ]
    alone = 0.0
    command = [sys.executable, __file__, "--device", device, "--train-alone", str(seconds)]
    for count in range(1, most + 1):
        started = [
            subprocess.Popen(
                command,
                env=environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for _ in range(count)
        ]
        for one in started:
            assert one.stdout is not None, "it is a pipe"
            while (line := one.stdout.readline()) and line.strip() != "ready":
                pass
        ended = []
        for one in started:
            assert one.stdin is not None, "it is a pipe"
            one.stdin.write("go\n")
            one.stdin.flush()
        for one in started:
            out, _ = one.communicate()
            ended.append(json.loads(out.strip().splitlines()[-1]))
        rate = sum(one["steps"] for one in ended) / seconds
        alone = alone or rate
        memory = statistics.mean(one["memory_mb"] for one in ended)
        lines.append(f"| {count} | {rate:.1f} | {rate / alone:.2f} | {memory:.0f} |")
    return lines


def search_demo(trials: int) -> list[str]:
    """A whole search of the demo's space: how it ended, and how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "dmtsearch", "search", "search_spaces/demo.yaml"]
        more = ["--out", str(out), "--store", str(Path(folder) / "store"), "--trials", str(trials)]
        began = time.perf_counter()
        done = subprocess.run([*command, *more], cwd=ROOT, env=environment(), check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            return [f"It ended with exit code {done.returncode} after {seconds:.0f} s."]
        ledger = (out / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        stages = [line for line in map(json.loads, ledger) if line.get("event") == "stage"]
    return [
        f"{trials} trials and the control arms ended in {seconds:.0f} s wall-clock "
        f"({len(stages)} stages trained), with the share of a GPU that the search chose."
    ]


# -- the page ------------------------------------------------------------------------------------


def machine(device: str) -> list[str]:
    """What it ran on, in lines."""
    import torch

    lines = [f"- CPU: {platform.processor() or platform.machine()}, {os.cpu_count()} cores"]
    if device.startswith("cuda"):
        about = torch.cuda.get_device_properties(torch.device(device))
        lines.insert(
            0,
            f"- GPU: {about.name}, {about.total_memory / 2**30:.0f} GiB, CUDA "
            f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
        )
    lines.append(f"- Python {platform.python_version()}, {platform.platform()}")
    for package in VERSIONS:
        try:
            lines.append(f"- {package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"- {package} is not installed")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    ).stdout.strip()
    return [*lines, f"- dmtsearch at commit {commit or 'unknown (no git here)'}"]


def run_all(
    device: str, *, rounds: int, seconds: float, most: int, trials: int
) -> tuple[str, bool]:
    """Everything; the page, and whether all tests passed."""
    tests, passed = run_tests()
    sections = {
        "Machine": machine(device),
        "Tests marked `gpu`": tests,
        f"Step time, wall-clock, n = {rounds} rounds of 10 steps": time_steps(device, rounds),
        f"Stages at once on one device, {seconds:g} s each, n = 1": share(device, most, seconds),
        "The demo's search": search_demo(trials),
    }
    when = datetime.now(timezone.utc).isoformat(timespec="minutes")
    page = [
        "# What was measured on a GPU",
        "",
        f"Written by `make gpu` ({when}); the job of the step times is described in "
        "`benchmarks/step_time.py`.",
    ]
    for title, lines in sections.items():
        page += ["", f"## {title}", "", *lines]
    return "\n".join(page) + "\n", passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="folder of wheels to install from, or to fill")
    parser.add_argument("--fill", action="store_true", help="fill the bundle, and run nothing")
    parser.add_argument("--python", help="with --fill: the target's Python, such as 3.12")
    parser.add_argument(
        "--platform", action="append", default=[], help="with --fill: the target's"
    )
    parser.add_argument("--part-mb", type=int, default=0, help="with --fill: cut larger files")
    # For this script's own test: a small run on a CPU, into another file.
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)
    parser.add_argument("--page", type=Path, default=PAGE, help=argparse.SUPPRESS)
    parser.add_argument("--train-alone", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fill:
        fill_bundle(args.bundle, args.python, args.platform, args.part_mb)
        return 0
    try:
        import torch
    except ImportError:
        print(
            "make gpu: this Python has no torch; install the one that fits the GPU's driver first"
        )
        return 1
    if args.device == "cuda" and not torch.cuda.is_available():
        print(NO_GPU)
        return 1
    if lacking():
        return run_in_environment(args.bundle)
    sys.path.insert(0, str(ROOT))
    if args.train_alone:
        train_alone(args.device, args.train_alone)
        return 0
    if args.device == "cpu" and args.page == PAGE:
        parser.error("a run on a CPU is no page about a GPU: give --page")
    sizes = (15, 10.0, 4, 8) if args.device == "cuda" else (2, 1.0, 2, 1)
    rounds, seconds, most, trials = sizes
    page, passed = run_all(args.device, rounds=rounds, seconds=seconds, most=most, trials=trials)
    args.page.write_text(page, encoding="utf-8")
    print(f"wrote {args.page}")
    return 0 if passed or args.device == "cpu" else 1


if __name__ == "__main__":
    raise SystemExit(main())
