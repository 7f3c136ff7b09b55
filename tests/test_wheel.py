"""The wheel carries the shipped schedules and studies, works away from the checkout, is typed and reproducible, and
leaves torch alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pld_search.schedules.library import names, shipped

ROOT = Path(__file__).parent.parent
BUILT_FROM = ("LICENSE", "README.md", "pld_search", "pyproject.toml", "schedules", "spaces")
FITTING = {"torch": "2.11.0+cu128"}  # installed before, by someone who wants that one


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The wheel unpacked where nothing else is."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "site")
    return wheel.parent / "site"


def run(installed: Path, *words: str) -> str:
    command = [sys.executable, "-c", "from pld_search.cli.main import main; main()", *words]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        command, cwd=installed.parent, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_schedules_are_used_by_name(installed: Path) -> None:
    listed = json.loads(run(installed, "schedule", "list", "--json"))
    assert {row["name"] for row in listed} == set(names())
    shown = json.loads(run(installed, "schedule", "show", "random", "--layers", "12", "--steps", "1000", "--json"))
    assert 8.7 < shown["expected_layers_mean"] < 8.9


def test_the_demo_study_is_there(installed: Path) -> None:
    packed = installed / "pld_search" / "_shipped" / "spaces"
    assert {path.stem for path in packed.glob("*.yaml")} == set(shipped("spaces"))
    assert "demo" in run(installed, "plan", "demo")


def test_the_code_is_the_wheels_and_typed(installed: Path) -> None:
    code = "import pld_search; print(pld_search.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=installed.parent,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(installed)
    assert (installed / "pld_search" / "py.typed").is_file()


def metadata(wheel: Path) -> dict[str, list[str]]:
    """Every field of the wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        found = message_from_string(archive.read(name).decode())
    return {key: found.get_all(key, []) for key in found.keys()}  # noqa: SIM118  # a message is no mapping


def test_what_an_index_would_show(wheel: Path) -> None:
    fields = metadata(wheel)
    assert fields["License-Expression"] == ["MIT"] and fields["License-File"] == ["LICENSE"]
    assert "Typing :: Typed" in fields["Classifier"] and "BERT" in fields["Keywords"][0]
    assert "Project-URL" not in fields and "Home-page" not in fields


def test_two_builds_are_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    """From another folder, with other times and permissions of the files."""
    source = tmp_path / "elsewhere"
    source.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copyfile(ROOT / name, source / name)
    touched = [path for path in source.rglob("*") if path.is_file()]
    for path in touched:
        path.chmod(0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert len(touched) > 100
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def requirements(wheel: Path) -> Iterator[Requirement]:
    for text in metadata(wheel)["Requires-Dist"]:
        if (found := Requirement(text)).marker is None:
            yield found


def environment_with(folder: Path, wheel: Path, versions: dict[str, str]) -> Path:
    """An environment whose distributions are names and versions only: the least that the wheel asks for, or
    `versions`.
    """
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for asked in requirements(wheel):
        version = versions.get(
            asked.name, min(part.version for part in asked.specifier if part.operator in (">=", "=="))
        )
        info = site / f"{asked.name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {asked.name}\nVersion: {version}\n")
    return site


def pip_install(environment: Path, wheel: Path, offered: Path) -> subprocess.CompletedProcess[str]:
    """`pip install` of the wheel, where nothing but the wheels in `offered` can be had."""
    where = ["--no-index", "--find-links", str(offered), "--no-compile"]
    words = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment / "bin" / "python"),
        "install",
        *where,
        str(wheel),
    ]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def offer_torch(folder: Path, version: str) -> None:
    """A wheel of that name with nothing in it, as an index would offer a newer build."""
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as archive:
        info = f"torch-{version}.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def distributions(site: Path, name: str) -> list[str]:
    return sorted(path.name.removesuffix(".dist-info") for path in site.glob(f"{name}-*.dist-info"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a torch of its own, the wheel installed into it while a newer torch could be had."""
    folder = tmp_path_factory.mktemp("environment")
    environment_with(folder / "venv", wheel, FITTING)
    offer_torch(folder, "2.13.0")
    done = pip_install(folder / "venv", wheel, folder)
    assert done.returncode == 0, done.stderr
    return folder / "venv"


def test_another_torch_is_left_alone(environment: Path) -> None:
    (site,) = environment.glob("lib/python*/site-packages")
    assert distributions(site, "pld_search")
    assert distributions(site, "torch") == ["torch-2.11.0+cu128"]


def test_a_torch_too_old_is_replaced(wheel: Path, tmp_path: Path) -> None:
    """So that the test above says something: where the bound asks for another torch, pip takes the offered one."""
    site = environment_with(tmp_path / "venv", wheel, {"torch": "2.10.0"})
    (site / "torch-2.10.0.dist-info" / "RECORD").write_text(
        "torch-2.10.0.dist-info/METADATA,,\ntorch-2.10.0.dist-info/RECORD,,\n"
    )
    offer_torch(tmp_path, "2.13.0")
    done = pip_install(tmp_path / "venv", wheel, tmp_path)
    assert done.returncode == 0, done.stderr
    assert distributions(site, "torch") == ["torch-2.13.0"]


SCRIPT = """
from pathlib import Path
from typing import Any, assert_type

import pld_search
from pld_search.api.results import Results
from pld_search.costs.expected_depth import Expected
from pld_search.costs.run_cost import Forecast
from pld_search.model.attach.layer_drop import Drop

schedule = pld_search.load_schedule("pld", layers=12, steps=100, sets=["temporal.end=0.7"])
assert_type(schedule, pld_search.Schedule)
assert_type(pld_search.forecast(schedule, steps=100, layers=12, groups=2), Expected)
assert_type(pld_search.forecast("pld", steps=100, experiment=Path("demo.yaml")).saved_flops, float)
assert_type(pld_search.forecast({"base": "pld"}, steps=100, experiment="demo"), Forecast)


def train(model: Any) -> None:
    drop = pld_search.attach(model, schedule, steps=100, rescale="block", seed=0)
    assert_type(drop, Drop)
    with drop.step(0, group=0):
        pass
    drop.detach()


def main() -> float | None:
    try:
        done = pld_search.run("./study.yaml", sets=["budget.steps=100"], tell=print)
    except pld_search.errors.PldSearchError as error:
        raise SystemExit(error.exit_code) from error
    assert_type(done, Results)
    assert_type(pld_search.results(done.folder), Results)
    assert_type(pld_search.compat.ProgressiveLayerDrop(theta=0.5, gamma=0.001).get_theta(), float)
    return done.comparison[0].mean("valid/loss")
"""
MISTAKES = """
import pld_search

pld_search.forecast("pld", steps="100", layers=12)
pld_search.forecast("pld", steps=100)
pld_search.load_schedule(3)
pld_search.attach(None, "pld", steps=10, first=3)
pld_search.run("demo", tell=3)
pld_search.nonsense()
pld_search.results("demo").row
pld_search.hf.LayerDrop("pld", group=2)
"""


def checked(environment: Path, folder: Path, script: str) -> list[str]:
    """What mypy --strict says of a user's script, a line a message, against the package that is installed."""
    (folder / "script.py").write_text(script)
    where = ["--python-executable", str(environment / "bin" / "python"), "--cache-dir", str(environment / "mypy")]
    clean = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")}
    words = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *where, "script.py"]
    return subprocess.run(words, cwd=folder, env=clean, capture_output=True, text=True, check=False).stdout.splitlines()


def test_a_users_script_is_typed(environment: Path, tmp_path: Path) -> None:
    assert checked(environment, tmp_path, SCRIPT) == []


def test_mistakes_of_a_users_script_are_seen(environment: Path, tmp_path: Path) -> None:
    said = checked(environment, tmp_path, MISTAKES)
    lines = {int(line.split(":")[1]) for line in said if ": error: " in line}
    assert lines == {
        number for number, line in enumerate(MISTAKES.splitlines(), 1) if line.startswith("pld_search.")
    }, said
