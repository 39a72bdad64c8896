"""Models of the user's own: what makes their keys, and what their bundles check."""

import gc
import json
import sys
import textwrap
from types import FunctionType

import pytest
import torch
from own_modules import forget
from torch import nn
from torch.utils.data import TensorDataset

import dmtsearch
from dmtsearch.cli.main import main
from dmtsearch.deploy import Watch
from dmtsearch.errors import BundleError, DmtSearchError
from dmtsearch.models import count_steps
from dmtsearch.schedule import parse_schedule

TEXT = """\
dmtsearch: 1
name: own
data: {factory: "never.imported:data"}
defaults: {epochs: 1, optimizer: {name: adam, batch: 32}}
stages:
  net:
    model: MODEL
    epochs: EPOCHS
"""
FACTORY = '{factory: "ownnets:make"}'
NETS = """
from torch import nn
import torch
import ownblocks

def make(path=None):
    net = ownblocks.Block()
    if path is not None:
        net.load_state_dict(torch.load(path))
    return net
"""
BLOCKS = """
import torch
from torch import nn

class Block(nn.Module):
    SCALE = 1.0
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
    def forward(self, x):
        return torch.relu(self.layer(x)) * 1.0
"""


def samples(count=120):
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(count) % 3
    return TensorDataset(torch.randn(count, 6, generator=chance) + y[:, None], y)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a factory in `ownnets.py` that builds on `ownblocks.py`, not yet imported."""
    forget("own")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ownnets.py").write_text(NETS)
    (tmp_path / "ownblocks.py").write_text(BLOCKS)
    yield tmp_path
    forget("own")


def train(store, out, model=FACTORY, epochs=1, tell=None, **given):
    text = TEXT.replace("MODEL", model).replace("EPOCHS", str(epochs))
    return dmtsearch.train(
        parse_schedule(text, "own.yaml"),
        out,
        store=store,
        data=samples(),
        watch=Watch(tell=tell.append) if tell is not None else None,
        **given,
    )


def weights_of(training):
    return (training.folder / "model.safetensors").read_bytes()


# -- keys -----------------------------------------------------------------------------------


def test_another_checkpoint_behind_the_same_path_is_another_model(project, store, tmp_path):
    model = '{factory: "ownnets:make", args: {path: teacher.pt}}'
    for number, name in enumerate("abc"):
        if number != 1:  # b finds a's file
            weight = torch.full((3, 6), float(number))
            torch.save({"layer.weight": weight, "layer.bias": torch.ones(3)}, "teacher.pt")
        training = train(store, tmp_path / name, model, epochs=0)
        assert training.delivered.reused is (name == "b")
        kept = dmtsearch.load_bundle(training.folder).model.layer.weight.detach()
        assert float(kept[0, 0]) == (2.0 if name == "c" else 0.0)
    # What is loaded does not depend on the seed, so that one key serves all.
    assert train(store, tmp_path / "d", model, epochs=0, seed=3).delivered.reused


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("ownblocks", id="a module that the factory's module imports"),
        pytest.param("owndeep", id="a module that this imports"),
        pytest.param("ownlazy", id="a module that a method imports"),
        pytest.param("ownpkg.inner", id="a module of a package, by a relative import"),
        pytest.param("ownpkg", id="the package itself"),
    ],
)
def test_a_change_in_any_of_the_users_modules_is_another_key(project, store, tmp_path, place):
    (project / "ownpkg").mkdir()
    files = {
        "ownblocks": "import owndeep\nfrom ownpkg import outer\n"
        + BLOCKS.replace("self.layer", "import ownlazy; self.layer", 1),
        "owndeep": "ONE = 1\n",
        "ownlazy": "ONE = 1\n",
        "ownpkg": "ONE = 1\n",
        "ownpkg.outer": "from . import inner\n",
        "ownpkg.inner": "ONE = 1\n",
    }

    def file_of(name):
        path = name.replace(".", "/")
        return project / (f"{path}/__init__.py" if name == "ownpkg" else f"{path}.py")

    for name, text in files.items():
        file_of(name).write_text(text)
    first = train(store, tmp_path / "a")
    forget("own")
    assert train(store, tmp_path / "b").delivered.key == first.delivered.key
    forget("own")
    file_of(place).write_text(files[place] + "TWO = 2\n")
    told = []
    other = train(store, tmp_path / "c", tell=told)
    assert other.delivered.key != first.delivered.key
    assert any(f"the source of module {place}" in text for text in told), told


def test_a_module_changed_in_a_running_python_keeps_the_key_of_the_code_that_runs(
    project, store, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(project))
    first = train(store, tmp_path / "a")
    (project / "ownblocks.py").write_text(BLOCKS.replace("* 1.0", "* 2.0"))
    still = train(store, tmp_path / "b")
    assert still.delivered.key == first.delivered.key
    import importlib

    importlib.reload(sys.modules["ownblocks"])
    fresh = train(store, tmp_path / "c")
    assert fresh.delivered.key != first.delivered.key
    assert weights_of(fresh) != weights_of(first)


def test_a_module_changed_after_its_import_and_before_its_first_use_is_refused(
    project, store, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(project))
    __import__("ownnets")
    (project / "ownblocks.py").write_text(BLOCKS.replace("* 1.0", "* 2.0"))
    with pytest.raises(DmtSearchError, match=r"ownblocks\.py was changed after Python had loaded"):
        train(store, tmp_path / "a")


class Scaled(nn.Module):
    """A net that its attributes make another one."""

    def __init__(self, **attributes):
        super().__init__()
        chance = torch.Generator().manual_seed(0)
        self.layer = nn.Linear(6, 3)
        with torch.no_grad():
            self.layer.weight.copy_(torch.randn(3, 6, generator=chance))
            self.layer.bias.zero_()
        self.scale, self.act, self.dropping = 1.0, torch.relu, {"rates": [0.0]}
        self.register_buffer("shift", torch.zeros(3), persistent=False)
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        x = self.act(self.layer(x)) * self.scale + self.shift
        return nn.functional.dropout(x, self.dropping["rates"][0], self.training)


def frozen(net):
    net.layer.bias.requires_grad_(False)
    return net


def hooked(net):
    net.layer.register_forward_hook(lambda module, args, output: output + 1)
    return net


OTHERS = {
    "a scale": lambda: Scaled(scale=2.0),
    "an activation": lambda: Scaled(act=torch.tanh),
    "a lambda": lambda: Scaled(act=lambda x: x),
    "another lambda": lambda: Scaled(act=lambda x: x + 1),
    "a nested setting that acts in training alone": lambda: Scaled(dropping={"rates": [0.5]}),
    "a buffer that is not saved": lambda: Scaled(shift=torch.ones(3)),
    "a parameter that does not learn": lambda: frozen(Scaled()),
    "a hook": lambda: hooked(Scaled()),
    "a method of the instance": lambda: Scaled(forward=Scaled(scale=3.0).forward),
    "a net in a plain list": lambda: Scaled(others=[nn.Linear(2, 2)]),
    "a setting of a layer of torch's": lambda: Scaled(dropout=nn.Dropout(0.5)),
    "another setting of it": lambda: Scaled(dropout=nn.Dropout(0.25)),
}


def test_modules_from_python_that_differ_in_anything_have_keys_of_their_own(store, tmp_path):
    def key(net, name):
        training = train(store, tmp_path / name, models={"net": net}, epochs=0)
        return training.delivered.key

    plain = key(Scaled(), "plain")
    assert key(Scaled(), "again") == plain
    keys = {name: key(make(), name.replace(" ", "_")) for name, make in OTHERS.items()}
    assert len({plain, *keys.values()}) == 1 + len(OTHERS)


class Gate:
    """Copies, and cannot be written down, as objects of compiled extensions may be."""

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle")


def test_what_cannot_be_written_down_is_refused_and_a_version_speaks_for_it(store, tmp_path):
    with pytest.raises(DmtSearchError, match=r"gate is a .*\.Gate.*dmtsearch_version = 1"):
        train(store, tmp_path / "a", models={"net": Scaled(gate=Gate())})
    keys = []
    for version in (1, 1, 2):
        net = Scaled(gate=Gate(), dmtsearch_version=version)
        out = tmp_path / f"b{len(keys)}"
        keys.append(train(store, out, models={"net": net}, epochs=0).delivered.key)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            "net = nn.Linear(6, 3)\n    net.bias.data += os.urandom(1)[0]",
            "ownnets:make built two different nets from one seed",
            id="of chance that is not seeded",
        ),
        pytest.param("net = ONE", "gives the same net at each call", id="one net for all"),
        pytest.param(
            "net = nn.Sequential(ONE)",
            "gives the same parameters at each call",
            id="shared parameters",
        ),
    ],
)
def test_a_factory_that_is_no_function_of_its_seed_is_refused(
    project, store, tmp_path, body, message
):
    head = "import os\nfrom torch import nn\nONE = nn.Linear(6, 3)\n"
    (project / "ownnets.py").write_text(f"{head}def make():\n    {body}\n    return net\n")
    with pytest.raises(DmtSearchError, match=message):
        train(store, tmp_path / "a")


def test_a_setting_that_differs_at_each_build_is_none(project, store, tmp_path):
    (project / "ownblocks.py").write_text(
        BLOCKS.replace("super().__init__()", "super().__init__(); import time; "
                       "self.born = time.perf_counter_ns()")
    )  # fmt: skip
    first = train(store, tmp_path / "a")
    assert train(store, tmp_path / "b").delivered.key == first.delivered.key


def test_a_package_that_listens_to_the_garbage_collector_is_no_part_of_a_net(
    project, store, tmp_path
):
    first = train(store, tmp_path / "a")
    listen = FunctionType((lambda phase, info: None).__code__, {"__name__": "pytest"})
    before = gc.get_threshold()
    gc.callbacks.append(listen)
    gc.set_threshold(1)
    try:
        again = train(store, tmp_path / "b")
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(listen)
    assert again.delivered.key == first.delivered.key


HIDDEN = """
import importlib, json, os, pathlib
import torch
from torch import nn
CONFIG = json.loads(pathlib.Path("config.json").read_text())
ROOT = pathlib.Path(__file__).parent
CALLS, CACHE, LOG = 0, {}, []

class Options:
    def __init__(self, scale):
        self.scale = scale
    def __getstate__(self):
        return {}

class Block(nn.Module):
    rate = 1.0
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.options = Options(CONFIG["hidden"])
    def forward(self, x):
        global CALLS
        CALLS += 1
        LOG.append(CALLS)
        CACHE["x"] = x
        y = self.layer(x)
        if self.training:
            y = y * float(os.environ.get("OWN_GAIN", "1"))
        if y.requires_grad:
            # Seen in no output: of the gradient alone.
            y.register_hook(lambda g: g * CONFIG["scale"] * self.rate * self.options.scale)
        return y

Block.rate = CONFIG["rate"]
def make():
    net = Block()
    importlib.import_module("own" + "plug").dress(net)
    return net
"""


def test_what_a_net_reads_in_training_alone_is_in_its_key(project, store, tmp_path, monkeypatch):
    (project / "ownnets.py").write_text(HIDDEN)

    def key(plug="1", **config):
        forget("own")
        settings = {"scale": 1, "rate": 1, "hidden": 1, **config}
        (project / "config.json").write_text(json.dumps(settings))
        (project / "ownplug.py").write_text(f"def dress(net):\n    net.eval()  # {plug}\n")
        return train(store, tmp_path / f"out{len(keys)}", epochs=0).delivered.key

    keys = []
    changes = [{}, {"scale": 2}, {"rate": 2}, {"hidden": 2}, {"plug": "2"}]
    for change in changes:
        keys.append(key(**change))
    monkeypatch.setenv("OWN_GAIN", "2")
    keys.append(key())
    monkeypatch.delenv("OWN_GAIN")
    assert len(set(keys)) == len(changes) + 1
    # Counters, caches and folders are no settings.
    keys.append(key())
    assert keys[-1] == keys[0]


SETTING = """
import functools, json, pathlib, re, threading, types
from torch import nn
import ownblocks
P = json.loads(pathlib.Path("config.json").read_text())

class Settings(dict):
    __getattr__ = dict.__getitem__  # so that copy.deepcopy fails

def local():
    class Inner(nn.Module):
        RATE = P
        def forward(self, x):
            return x
    return Inner()

def hooked(net):
    net.layer.weight.register_hook(lambda gradient, factor=P: gradient * factor)

def make():
    net = ownblocks.Block()
    VALUE
    return net
"""


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("net.act = functools.partial(print, P)", id="a partial"),
        pytest.param("net.names = re.compile('a' * P)", id="a regular expression"),
        pytest.param("net.all = types.MappingProxyType({'p': P})", id="a read-only dict"),
        pytest.param("net.all = Settings(p=P)", id="a dict that cannot be copied"),
        pytest.param("net.inner = local()", id="a class made in a function"),
        pytest.param("hooked(net)", id="a hook on a parameter"),
    ],
)
def test_a_setting_that_a_factory_reads_from_a_file_counts(project, store, tmp_path, value):
    (project / "ownnets.py").write_text(SETTING.replace("VALUE", value))
    keys = []
    for number in (1, 1, 2):
        (project / "config.json").write_text(str(number))
        training = train(store, tmp_path / f"b{len(keys)}")
        forget("own")
        keys.append(training.delivered.key)
    assert keys[0] == keys[1] != keys[2]
    # What was trained can be scored, also where it cannot be copied.
    bundle = dmtsearch.load_bundle(training.folder)
    assert dmtsearch.evaluate(bundle, data=samples()).metrics


def test_what_a_factory_cannot_write_down_is_refused_unless_its_version_is_given(
    project, store, tmp_path
):
    (project / "config.json").write_text("1")
    text = SETTING.replace("VALUE", "net.lock = threading.Lock()")
    (project / "ownnets.py").write_text(text)
    with pytest.raises(DmtSearchError, match=r"lock is a _thread.lock.*`version: 2` beside"):
        train(store, tmp_path / "a")
    forget("own")
    versions = [
        train(store, tmp_path / f"v{n}", f'{{factory: "ownnets:make", version: {n}}}', epochs=0)
        for n in (2, 3)
    ]
    assert len({training.delivered.key for training in versions}) == 2


def test_one_and_two_threads_are_two_stages_on_a_cpu(store, tmp_path):
    def job(cpu):
        model = f"{{family: mlp, hidden: [4]}}\n    resources: {{cpu: {cpu}}}"
        training = train(store, tmp_path / f"cpu{cpu}", model)
        return training.delivered

    one = job(1)
    assert [job(cpu).reused for cpu in (0.5, 1.9, 2, 2.5)] == [True, True, False, True]
    assert job(3).key != one.key


def fake_timm(folder, version):
    package = folder / "timm"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text(
        f"__version__ = {version!r}\n"
        + textwrap.dedent("""
        from torch import nn

        class Net(nn.Linear):
            pass

        def list_models():
            return ["tiny"]

        def create_model(name, num_classes=3):
            return Net(6, num_classes)
    """)
    )
    forget("timm")


@pytest.mark.parametrize("model", ["{timm: tiny}", '{factory: "ownnets:make"}'])
def test_another_version_of_timm_is_another_key_and_a_note_of_the_bundle(
    project, store, tmp_path, monkeypatch, model
):
    monkeypatch.syspath_prepend(str(project))
    (project / "ownnets.py").write_text(
        "def make():\n    import timm\n    return timm.create_model('tiny')\n"
    )
    try:
        fake_timm(project, "1.0.1")
        first = train(store, tmp_path / "a", model)
        assert train(store, tmp_path / "b", model).delivered.reused
        fake_timm(project, "1.0.2")
        told = []
        assert not train(store, tmp_path / "c", model, tell=told).delivered.reused
        assert any('version of timm: "1.0.2" here, "1.0.1" there' in text for text in told)
        notes = dmtsearch.load_bundle(first.folder).notes
        assert len(notes) == 1
        assert "timm is 1.0.2, not 1.0.1" in notes[0]
    finally:
        forget("timm")


def test_another_version_of_torchvision_is_another_key(monkeypatch, tmp_path):
    from dmtsearch.data import load_data
    from dmtsearch.stage_kinds import resolve
    from dmtsearch.training import make_jobs

    x, y = torch.rand(24, 3, 32, 32), torch.arange(24) % 3
    data = load_data(objects=TensorDataset(x, y), train=12, val=6, test=6)
    text = TEXT.replace("MODEL", "{torchvision: squeezenet1_1}").replace("EPOCHS", "0")
    plan = resolve(parse_schedule(text, "own.yaml"), data.facts, num_train=12)

    def key():
        return make_jobs(plan, data, device="cpu")[0].keys.key

    first = key()
    monkeypatch.setattr("torchvision.__version__", "0.99.0+cpu")
    other = key()
    assert other != first
    monkeypatch.setattr("torchvision.__version__", "0.99.0+cu130")
    assert key() == other


# -- bundles --------------------------------------------------------------------------------


@pytest.fixture
def bundle(project, store, tmp_path):
    """A bundle of the factory's net, with a program that uses it in a Python of its own."""
    folder = train(store, tmp_path / "out").folder
    forget("own")
    return folder


USES = {
    "load_bundle": lambda folder: dmtsearch.load_bundle(folder),
    "evaluate": lambda folder: dmtsearch.evaluate(folder, data=samples()),
    "export": lambda folder: dmtsearch.export(folder),
}


@pytest.mark.parametrize("use", USES)
def test_changed_code_of_the_users_is_refused_by_its_file(bundle, project, use):
    USES[use](bundle)
    (bundle / "model.pt2").unlink(missing_ok=True)
    forget("own")
    # Not in this net's answers: the file alone tells.
    (project / "ownblocks.py").write_text(BLOCKS + "\nMORE = 1\n")
    with pytest.raises(BundleError, match=r"ownblocks\.py differs .*version control has it"):
        USES[use](bundle)
    assert not (bundle / "model.pt2").exists()


def test_code_that_no_longer_fits_the_weights_is_refused_by_its_file(bundle, project):
    (project / "ownblocks.py").write_text(BLOCKS.replace("layer", "linear"))
    with pytest.raises(BundleError, match=r"ownblocks\.py differs"):
        dmtsearch.load_bundle(bundle)


def test_what_no_file_tells_is_refused_by_the_answers(project, store, tmp_path):
    (project / "ownblocks.py").write_text(
        "from pathlib import Path\n"
        + BLOCKS.replace("* 1.0", "* self.scale").replace(
            "super().__init__()",
            "super().__init__(); self.scale = float(Path('scale.txt').read_text())",
        )
    )
    (project / "scale.txt").write_text("1.0")
    folder = train(store, tmp_path / "out").folder
    loaded = dmtsearch.load_bundle(folder)
    (project / "scale.txt").write_text("1.0001")  # within rounding
    assert dmtsearch.load_bundle(folder).notes == ()
    (project / "scale.txt").write_text("1.01")
    message = r"by 0\.01 of the largest.*its attribute scale is 1\.01, it was 1\.0"
    for use in USES.values():
        with pytest.raises(BundleError, match=message):
            use(folder)
    dmtsearch.export(loaded)  # a bundle that is loaded is what it was
    loaded.model.scale = 1.5
    with pytest.raises(BundleError, match=r"by 0\.5 of the largest"):
        dmtsearch.export(loaded)


def test_a_module_given_to_a_bundle_must_be_the_one_that_was_trained(store, tmp_path):
    folder = train(store, tmp_path / "out", models={"net": Scaled(scale=2.0)}).folder
    assert dmtsearch.load_bundle(folder, model=Scaled(scale=2.0)).notes == ()
    with pytest.raises(BundleError, match=r"its attribute scale is 1\.0, it was 2\.0"):
        dmtsearch.load_bundle(folder, model=Scaled())
    with pytest.raises(DmtSearchError, match="do not fit"):
        dmtsearch.load_bundle(folder, model=nn.Linear(6, 3))


def test_a_bundle_says_what_it_was_made_of_and_an_older_one_is_noted(bundle):
    path = bundle / "bundle.json"
    info = json.loads(path.read_text())
    identity = info["identity"]["net"]
    assert {name: one["file"] for name, one in identity["sources"].items()} == {
        "ownblocks": "ownblocks.py",
        "ownnets": "ownnets.py",
    }
    # A second implementation of the probe, from what the bundle says of it.
    probe = identity["probe"]
    chance = torch.Generator().manual_seed(probe["seed"])
    x = torch.randn(probe["shape"], generator=chance, dtype=torch.float64).float()
    with torch.no_grad():
        torch.testing.assert_close(
            dmtsearch.load_bundle(bundle).model(x), torch.tensor(probe["outputs"])
        )
    del info["identity"]
    path.write_text(json.dumps(info))
    notes = dmtsearch.load_bundle(bundle).notes
    assert len(notes) == 1
    assert "an older version wrote it" in notes[0]
    assert dmtsearch.evaluate(bundle, data=samples()).as_dict()["notes"][0] == notes[0]


def test_a_selector_s_bundle_checks_each_of_its_classifiers(project, store, tmp_path):
    x, y = samples().tensors
    by_view = [({"a": one, "b": -one}, int(label)) for one, label in zip(x, y, strict=True)]
    text = """\
dmtsearch: 1
name: eyes
data: {factory: "never.imported:data"}
defaults: {epochs: 1, optimizer: {name: adam, batch: 16}}
stages:
  a: {modality: a, model: {factory: "ownnets:make"}}
  b: {modality: b, model: {family: mlp, hidden: [4]}}
  selector:
    select: [a, b]
    k: 3
    degrade: [{kind: noise, severity: [0.3, 1]}]
    model: {family: mlp, hidden: [4]}
"""
    folder = dmtsearch.train(
        parse_schedule(text, "eyes.yaml"), tmp_path / "out", store=store, data=by_view
    ).folder
    assert list(json.loads((folder / "bundle.json").read_text())["identity"]) == ["a"]
    assert dmtsearch.load_bundle(folder).notes == ()
    forget("own")
    (project / "ownblocks.py").write_text(BLOCKS + "MORE = 1\n")
    with pytest.raises(BundleError, match=r"the code of stage 'a' .*ownblocks\.py differs"):
        dmtsearch.load_bundle(folder)


def test_explain_says_in_words_what_makes_two_models_differ(
    project, tmp_path, monkeypatch, capsys
):

    url = str(tmp_path / "store")
    keys = []
    for name, blocks in (("a", BLOCKS), ("b", BLOCKS.replace("* 1.0", "* 2.0"))):
        (project / "ownblocks.py").write_text(blocks)
        forget("own")
        keys.append(train(url, tmp_path / name).delivered.key)
    monkeypatch.setattr(sys, "argv", ["dmtsearch", "store", "explain", *keys, "--store", url])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main())
    assert not ended.value.code
    words = "the model's outputs before training; the source of module ownblocks."
    assert f"What differs: {words}" in " ".join(capsys.readouterr().out.split())


def test_outputs_count_in_steps_that_rounding_does_not_cross():
    outputs = torch.tensor([1.0, -0.5, 1 / 64, 0.0, float("nan"), float("inf")]).double()
    # By hand: the fifth digit of 1.0 is 1e-4; 1/64 = 156.25 steps.
    assert count_steps(outputs, 5) == [10000, -5000, 156, 0, "nan", "inf"]
    for rounding in (1 - 1e-14, 1 + 1e-14):
        assert count_steps(outputs * rounding, 5) == count_steps(outputs, 5)
    assert count_steps(torch.zeros(2), 5) == [0, 0]
