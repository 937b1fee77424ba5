"""How nbval compares a fresh run of these notebooks with the outputs stored in them.

Strict mode, with these rules:

* text must be equal apart from runs of blanks, memory addresses and the numbers in it;
* integers must be equal; floats agree within a relative tolerance of 1e-3, or the `rtol` of the cell's metadata
  `{"nbval": {"rtol": ...}}`. Two values below 1e-12 count as zero. A float printed with three significant digits
  or more may also differ by one unit in the last place, because a value near a rounding boundary prints either way;
* stderr and pictures are not compared, and HTML only where nothing else was shown;
* a notebook without stored outputs is an error: with nothing stored, nothing would be compared;
* a cell behind a trained network, `{"nbval": {"trained": true, "rtol": ...}}`, is compared by its numbers: counts may differ
  by three or by `rtol`, and names of signatures may change places. Training amplifies the last bit of a sum, and
  processors differ in it. For the same reason the kernels use one thread and one set of instructions (`ARITHMETIC`), as
  the runs did whose outputs are stored;
* a notebook is skipped when its data, listed in the notebook's metadata `{"latentgenomes": {"data": [...]}}`,
  are not at hand; an analysis or comparison must list them.
"""

import json
import os
import re
from collections import defaultdict
from functools import partial

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

ARITHMETIC = {"OMP_NUM_THREADS": "1", "MKL_CBWR": "AVX2,STRICT", "ATEN_CPU_CAPABILITY": "avx2"}
os.environ.update(ARITHMETIC)  # the kernels inherit it

RTOL = 1e-3
ZERO = 1e-12
FEW = 3  # counts behind a trained network may differ by so many
PICTURES = ("image/", "application/vnd.jupyter.widget-view+json")

_NAME = re.compile(r"\bSBS\d+[a-d]?\??(?!\w)")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:(?<=\d)\.\d*|\.\d+|(?<=\d))(?:[eE][-+]?\d+)?"
)


def is_integer(number):
    return number.lstrip("+-").replace(",", "").isdigit()


def last_place(number):
    """Unit in the last printed place; 0 when fewer than three significant digits are printed."""
    mantissa, _, exponent = number.lower().replace(",", "").partition("e")
    whole, _, decimals = mantissa.lstrip("+-").partition(".")
    if len((whole + decimals).lstrip("0")) < 3:
        return 0.0
    return 10.0 ** (int(exponent or 0) - len(decimals))


def numbers_agree(stored, fresh, rtol=RTOL, *, trained=False):
    """Whether two printed numbers agree: integers exactly, floats within the tolerance."""
    if is_integer(stored) and is_integer(fresh):
        old, new = int(stored.replace(",", "")), int(fresh.replace(",", ""))
        return abs(old - new) <= (max(FEW, rtol * max(abs(old), abs(new))) if trained else 0)
    left, right = float(stored.replace(",", "")), float(fresh.replace(",", ""))
    size = max(abs(left), abs(right))
    rounding = 1.001 * max(
        last_place(stored), last_place(fresh)
    )  # the last place itself is no exact binary number
    return size < ZERO or abs(left - right) <= max(rtol * size, rounding)


def split_numbers(text):
    """Text between the numbers, without addresses and runs of blanks, and the numbers."""
    text = re.sub(r"\s+", " ", _ADDRESS.sub("0x", text)).strip()
    # A column that is right-aligned gains or loses blanks with a sign or a digit, also next to a bracket.
    return [part.strip() for part in _NUMBER.split(text)], _NUMBER.findall(text)


def differences(stored, fresh, rtol=RTOL, *, trained=False):
    """What differs between two texts, in words; empty when they agree."""
    if trained:
        stored, fresh = _NAME.sub("SBS", stored), _NAME.sub("SBS", fresh)
    stored_words, stored_numbers = split_numbers(stored)
    fresh_words, fresh_numbers = split_numbers(fresh)
    if stored_words != fresh_words:
        return ["the text around the numbers differs"]
    pairs = zip(stored_numbers, fresh_numbers, strict=True)
    agree = partial(numbers_agree, rtol=rtol, trained=trained)
    return [f"stored {old}, now {new}" for old, new in pairs if not agree(old, new)]


def comparable(outputs):
    """Texts to compare, by kind, in order: streams but stderr, and each kind of data but pictures."""
    texts = defaultdict(list)
    for output in outputs:
        if output["output_type"] == "stream":
            if output["name"] != "stderr":
                texts["stdout"].append(output["text"])
            continue
        if output["output_type"] == "error":
            texts["error"].append(f"{output['ename']}: {output['evalue']}")
            continue
        data = {kind: value for kind, value in output["data"].items() if not kind.startswith(PICTURES)}
        if len(data) > 1:
            data.pop("text/html", None)
        for kind, value in data.items():
            texts[kind].append(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    return dict(texts)


class TolerantCell(IPyNbCell):
    def compare_outputs(self, test, ref, skip_compare=None):
        rules = self.cell.metadata.get("nbval", {})
        rtol, trained = rules.get("rtol", RTOL), rules.get("trained", False)
        stored, fresh = comparable(ref), comparable(test)
        found = []
        for kind in sorted(stored.keys() | fresh.keys()):
            old, new = stored.get(kind, []), fresh.get(kind, [])
            if len(old) != len(new):
                found.append(f"{kind}: {len(old)} outputs are stored, the run gave {len(new)}")
            for before, after in zip(old, new, strict=False):
                if problems := differences(before, after, rtol, trained=trained):
                    shown = "\n".join(problems[:10])
                    found.append(
                        f"{kind}, tolerance {rtol:g}:\n{shown}\n--- stored\n{before}\n--- now\n{after}"
                    )
        self.comparison_traceback = found
        return not found


class TolerantNotebook(IPyNbFile):
    def setup(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LATENTGENOMES_PROGRESS", "0")
            super().setup()

    def collect(self):
        cells = list(super().collect())
        self.refuse_without_outputs([cell.cell for cell in cells])
        self.skip_without_data()
        for cell in cells:
            yield TolerantCell.from_parent(
                self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options
            )

    def refuse_without_outputs(self, cells):
        never_run = [cell for cell in cells if cell.source.strip() and cell.execution_count is None]
        if never_run or not any(cell.outputs for cell in cells):
            raise self.CollectError(
                f"{self.path.name} must hold the outputs of a full run, but "
                f"{len(never_run)} of its {len(cells)} code cells were never run and "
                f"{sum(bool(cell.outputs) for cell in cells)} hold outputs. Run all cells, then clean with: "
                "nbstripout --keep-output --keep-count"
            )

    def skip_without_data(self):
        names = self.nb.metadata.get("latentgenomes", {}).get("data")
        if names is None and not self.path.stem.endswith(("_analysis", "_comparison")):
            return
        if names is None:
            raise self.CollectError(
                f"{self.path.name} must list its data files in the notebook's metadata as "
                '{"latentgenomes": {"data": [...]}}, but does not. Add them.'
            )
        from latentgenomes.core.registry import available

        absent = [name for name in names if not available(name)]
        if absent:
            pytest.skip(
                f"{self.path.name} needs real data that are not at hand: {', '.join(absent)}. "
                "Set LATENTGENOMES_MIRROR or run: latentgenomes data fetch",
                allow_module_level=True,
            )


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    found = yield
    return [
        TolerantNotebook.from_parent(parent, path=file_path) if isinstance(node, IPyNbFile) else node
        for node in found
    ]
