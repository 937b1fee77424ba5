"""The pinned versions: one list, repeated where conda and Binder read it, and complete."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
ENVIRONMENT = (ROOT / "environment.yml").read_text()


def pins(text):
    """Exact versions by name, from the lines of a requirements file."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    parts = [line.split("==") for line in lines if line]
    assert all(len(part) == 2 for part in parts), "every line is name==version"
    return {str(canonicalize_name(name)): version for name, version in parts}


def pip_section(text):
    """Lines of the pip section of an environment file."""
    sections = [entry["pip"] for entry in yaml.safe_load(text)["dependencies"] if isinstance(entry, dict)]
    return sections[0]


def direct(extras):
    """Names of the direct dependencies of the core and of some extras."""
    lines = [
        *PROJECT["dependencies"],
        *(line for extra in extras for line in PROJECT["optional-dependencies"][extra]),
    ]
    return {str(canonicalize_name(Requirement(line).name)) for line in lines}


def disagreements(environment, constraints):
    """Pins of the environment file that differ from the constraints, in words."""
    tested = pins(constraints)
    mine = pins("\n".join(line for line in pip_section(environment) if not line.startswith("-")))
    return [
        f"{name}: environment.yml has {version}, constraints.txt has {tested.get(name)}"
        for name, version in mine.items()
        if tested.get(name) != version
    ]


def installed_extras(environment):
    """Extras that the environment file installs."""
    (line,) = [line for line in pip_section(environment) if line.startswith("-e")]
    return re.fullmatch(r"-e \.\[([\w,]+)\]", line)[1].split(",")


def test_environment_and_constraints_agree():
    assert disagreements(ENVIRONMENT, CONSTRAINTS) == []


def test_the_environment_pins_every_direct_dependency_of_what_it_installs():
    mine = pins("\n".join(line for line in pip_section(ENVIRONMENT) if not line.startswith("-")))
    assert direct(installed_extras(ENVIRONMENT)) - set(mine) == set()
    assert {"signatures", "book"} <= set(installed_extras(ENVIRONMENT))


def test_torch_is_pinned_exactly():
    # Any looser form lets pip take a build with several GB of CUDA packages.
    assert pins(CONSTRAINTS)["torch"] == "2.13.0"
    assert "torch==2.13.0" in PROJECT["dependencies"]


@pytest.mark.parametrize("extra", [None, *PROJECT["optional-dependencies"]])
def test_every_direct_dependency_is_pinned(extra):
    assert direct([extra] if extra else []) - set(pins(CONSTRAINTS)) == set()


def test_every_pin_satisfies_the_range_of_the_package():
    tested = pins(CONSTRAINTS)
    lines = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    for requirement in map(Requirement, lines):
        assert requirement.specifier.contains(tested[str(canonicalize_name(requirement.name))]), requirement


def test_python_is_the_tested_one():
    assert "python=3.11" in yaml.safe_load(ENVIRONMENT)["dependencies"]
    assert yaml.safe_load(ENVIRONMENT)["name"] == "latentgenomes"


def test_a_changed_pin_is_caught():
    assert disagreements(ENVIRONMENT.replace("torch==2.13.0", "torch==2.12.0"), CONSTRAINTS) == [
        "torch: environment.yml has 2.12.0, constraints.txt has 2.13.0"
    ]
    without = re.sub(r"(?m)^papermill==.*\n", "", CONSTRAINTS)
    assert disagreements(ENVIRONMENT, without)[0].endswith("constraints.txt has None")
