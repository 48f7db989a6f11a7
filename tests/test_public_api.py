import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import bitswitch as bs
from bitswitch import contracts, errors, report
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.scaffold.package import GROUPS, rendered
from tests.nn.small_network import float_net

TOP = Path(__file__).resolve().parents[1]
CONTRACTS = [module.name for module in pkgutil.iter_modules(contracts.__path__)]
APIS = (bs, report)
INTERNAL = {"Evaluate"}
"""Protocols that only the package implements and only calls describe."""

PROGRAM = '''"""What a program that trains and deploys by itself writes."""

from pathlib import Path

import torch

import bitswitch as bs

net = bs.create("models", "resnet20", {}).build(outputs=10, seed=0)
model: bs.QuantizedModel = bs.quantize(net, "double-rounding", bitset=(8, 4), rounding="double")
again: bs.QuantizedModel = bs.quantize(net, bs.create("methods", "lsq", {}, (8,)), keep=["fc"])
deployed: bs.IntegerModel = bs.load(Path("model.safetensors"))
logits: torch.Tensor = deployed(torch.zeros(1, 3, 32, 32))
'''
AUTHOR = '''"""What the author of a method with passes of its own, and of a task, writes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import bitswitch as bs


class Mine(bs.Method):
    card = bs.Card("Mine", "equations", "codes", "none")
    published_recipes = {"cifar10": bs.Recipe({"epochs": 90})}

    class Options(bs.Strict):
        share: float = 0.5

    options: Options

    def weight_quantizer(self, weight: Tensor) -> bs.Quantizer:
        return bs.WeightQuantizer(weight, self.bitset)

    def normalization(self, norm: Any) -> nn.Module:
        return bs.SwitchableBatchNorm(norm, self.bitset)

    def passes(
        self, training: bs.TrainingSpec, step_info: bs.StepInfo, layers: Sequence[str]
    ) -> list[bs.Pass]:
        policy = bs.random_policy(layers, self.bitset, step_info.generator)
        return [bs.Pass(self.bitset[0]), bs.Pass(None, policy, teacher=0)]

    def loss(self, context: bs.PassContext) -> Tensor:
        return super().loss(context) * self.options.share

    def set_sensitivity(self, scores: bs.Scores) -> None:
        self.scores = scores

    def finish_work(self, extent: bs.Workload) -> bs.ExamplePasses:
        return bs.ExamplePasses(forward=extent.examples(4))

    def skip(self, spec: bs.RunSpec) -> str | None:
        return "It needs two bit-widths at least." if len(self.bitset) < 2 else None


class AbsoluteError(bs.Task):
    metrics = (
        bs.Metric("mae", "MAE", "1", "lower", 3),
        bs.Metric("loss", "Loss", "1", "lower", 4),
    )

    def loss(self, outputs: Any, targets: Tensor) -> Tensor:
        return torch.mean(torch.abs(outputs - targets))

    def evaluator(self) -> bs.Evaluator:
        return Errors()


class Errors(bs.Evaluator):
    def __init__(self) -> None:
        self.found: list[Tensor] = []

    def add(self, outputs: Any, targets: Tensor) -> None:
        self.found.append(torch.abs(outputs - targets))

    def result(self) -> bs.Found:
        errors = torch.cat(self.found)
        return bs.Found({"mae": float(errors.mean()), "loss": 0.0}, len(errors))


class Opened(bs.OpenDataset):
    def train_batches(
        self, batch_size: int, stream: bs.Stream, seed: int, skip: int
    ) -> Iterator[bs.Batch]:
        yield bs.Batch(torch.zeros(1, 3, 8, 8), torch.zeros(1), torch.zeros(1))


class Data(bs.Dataset):
    task = AbsoluteError()
    outputs = 1
    stamp = "made up"

    def open(self, root: Path, device: torch.device) -> bs.OpenDataset:
        if not root.exists():
            raise bs.DatasetError(f"{root} is missing")
        return Opened()
'''
WRONG = """import bitswitch as bs

bs.quantise
bs.quantize(bs.create("models", "resnet20", {}), "lsq", bitset=(8,))
deployed: int = bs.load("model.safetensors")
"""


def typed_imports(api):
    """Return what type checkers are told: names by module."""
    tree = ast.parse(Path(api.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        node.module.removeprefix(f"{api.__name__}."): sorted(alias.name for alias in node.names)
        for node in block.body
    }


def homes(api):
    """Return the module of every name that a program is offered."""
    return {
        name: f"{api.__name__}.{module}"
        for module, names in api._MODULES.items()
        for name in names.split()
    }


@pytest.mark.parametrize("api", APIS)
def test_type_checkers_and_programs_are_told_the_same(api):
    assert typed_imports(api) == {
        module: sorted(names.split()) for module, names in api._MODULES.items()
    }
    assert sorted(api.__all__) == sorted(homes(api))


@pytest.mark.parametrize(("api", "name"), [(api, name) for api in APIS for name in api.__all__])
def test_every_public_name_is_there(api, name):
    assert getattr(api, name) is getattr(import_module(homes(api)[name]), name)
    assert name in dir(api)


@pytest.mark.parametrize("api", APIS)
def test_no_public_name_is_that_of_a_module(api):
    modules = {module.name for module in pkgutil.iter_modules(api.__path__)}
    assert not modules & set(api.__all__)


def table_of_the_how_to():
    """Return the module with a table and a figure that the how-to shows."""
    how_to = (TOP / "docs" / "howto" / "add-a-table.md").read_text()
    (code,) = re.findall(r"_drop.py`:\n\n```python\n(.*?)```", how_to, re.DOTALL)
    return code


def test_authors_of_tables_import_from_one_place():
    tree = ast.parse(table_of_the_how_to())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules = {node.module for node in imported if node.module.startswith("bitswitch")}
    assert modules == {"bitswitch.report"}


def test_the_package_itself_imports_from_where_things_are():
    for file in Path(bs.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "bitswitch":
                assert not {alias.name for alias in node.names} & set(bs.__all__), file
            elif isinstance(node, ast.Import):
                assert "bitswitch" not in {alias.name for alias in node.names}, file


@pytest.mark.parametrize("api", APIS)
def test_another_name_is_none(api):
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        _ = api.quantise
    assert not hasattr(bs, "__wrapped__")


def classes(module):
    found = inspect.getmembers(module, inspect.isclass)
    return {name for name, cls in found if cls.__module__ == module.__name__ and name[0] != "_"}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_all_that_contracts_define_is_public(contract):
    assert classes(import_module(f"bitswitch.contracts.{contract}")) - INTERNAL <= set(bs.__all__)


def test_all_that_documents_name_is_public():
    files = [TOP / "README.md", *(TOP / "docs").rglob("*.md"), *(TOP / "bitswitch").rglob("*.j2")]
    named = {name for file in files for name in re.findall(r"\bbs\.(\w+)", file.read_text())}
    assert {"quantize", "load", "Method"} <= named <= set(bs.__all__)


def test_every_error_is_public():
    assert classes(errors) <= set(bs.__all__)


def test_it_is_imported_at_once_and_without_torch():
    code = (
        "import sys, time; start = time.process_time()\n"
        "import bitswitch as bs; print(time.process_time() - start)\n"
        "bs.SpecError, bs.Card, dir(bs); assert not {'torch', 'numpy'} & sys.modules.keys()"
    )
    times = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3)]
    assert min(times) <= 0.1


def test_a_method_may_be_given_by_name_or_as_an_instance():
    named = bs.quantize(
        float_net(), "double-rounding", bitset=[4, 2], gradient="printed", keep=["3"]
    )
    options = DoubleRounding.Options(gradient="printed")
    instance = bs.quantize(float_net(), DoubleRounding(options, (4, 2)), keep=["3"])
    assert named.bitset == instance.bitset == (4, 2)
    assert str(named) == str(instance)
    states = named.state_dict(), instance.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(states[0][name].equal(states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "double-roundin", "bitset": (8,)}, "UnknownPlugin", "mean 'double-rounding'"),
        ({"method": "lsq"}, "Spec", r"needs a bit set.\n.*'lsq', bitset=\(8, 6, 4, 2\)"),
        ({"method": "lsq", "bitset": (9, 8)}, "BitWidth", "2 to 8"),
        ({"method": "lsq", "bitset": (2, 4)}, "BitWidth", r"write \(4, 2\)"),
        ({"method": "double-rounding", "bitset": (8,), "rouding": 1}, "Spec", "mean 'rounding'"),
        ({"method": DoubleRounding, "bitset": (8,)}, "Spec", "bitset cannot be given"),
        ({"method": DoubleRounding, "rounding": "double"}, "Spec", "rounding cannot be given"),
    ],
)
def test_what_cannot_be_quantized_so_is_one_message(arguments, error, message):
    method = arguments.pop("method")
    if method is DoubleRounding:
        method = DoubleRounding(DoubleRounding.Options(), (8, 4))
    with pytest.raises(getattr(bs, f"{error}Error"), match=message) as caught:
        bs.quantize(float_net(), method, **arguments)
    assert len(str(caught.value).splitlines()) <= 3


def mypy(folder):
    """Return what mypy says of the files of ``folder``; it reads what it knows of the package."""
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", TOP / ".mypy_cache"]
    files = sorted(folder.glob("*.py"))
    answer = subprocess.run(
        [*command, *files], cwd=TOP, capture_output=True, text=True, check=False
    )
    return answer.stdout


@pytest.mark.slow
def test_what_authors_write_is_typed(tmp_path):
    for kind in GROUPS:
        source = rendered(kind, "mine")["bitswitch_mine/__init__.py"]
        (tmp_path / f"{kind}.py").write_text(source)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "author.py").write_text(AUTHOR)
    (tmp_path / "table.py").write_text(table_of_the_how_to())
    (tmp_path / "wrong.py").write_text(WRONG)
    problems = [line for line in mypy(tmp_path).splitlines() if ": error:" in line]
    assert {line.partition(": ")[0].rpartition("/")[2] for line in problems} == {
        "wrong.py:3",
        "wrong.py:4",
        "wrong.py:5",
    }
