"""Marker for tests on real data: skipped with the reason where the files are not at hand."""

import os

import pytest

from latentgenomes.core.registry import available


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "real_data(*names): needs these files of the data registry. Skipped where LATENTGENOMES_MIRROR is "
        "not set and the data folder lacks one of them; with the mirror set, a missing file fails the test.",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    markers = list(item.iter_markers("real_data"))
    if not markers or os.environ.get("LATENTGENOMES_MIRROR"):
        return
    names = [name for marker in markers for name in marker.args]
    absent = [name for name in names if not available(name)]
    if absent or not names:
        what = absent[0] if absent else "real data"
        pytest.skip(f"{what} is not at hand: set LATENTGENOMES_MIRROR, or run latentgenomes data fetch")
