# Which notebook runs with which parameters, and then the book.
#
#   snakemake --cores 2 site      execute the notebooks, stage them, build the site (make book)
#   snakemake --cores 1 results   full runs on the real data, into data/results/ (make results)
#
# A notebook runs again when it, a table it may read, or the code of the package has changed; comments and
# docstrings do not count. A killed run resumes: finished notebooks are kept.
# The same file runs on a cluster with one of Snakemake's executor plugins.

import os
from pathlib import Path

import nbformat

from latentgenomes.core.registry import available
from latentgenomes.core.definitions import source

BOOK = "build/book-src"
# A notebook outside the table of contents is not finished: it is tested, and no page shows it.
CONTENTS = set(Path("book/_toc.yml").read_text(encoding="utf-8").split())
NOTEBOOKS = sorted(path.stem for path in Path("notebooks").glob("*.ipynb") if f"notebooks/{path.stem}" in CONTENTS)
PRESETS = sorted(path.name.removesuffix(".full.yaml") for path in Path("notebooks/params").glob("*.full.yaml"))
FINGERPRINT = source().digest()
TABLES = ["data/registry.csv", *sorted(str(path) for path in Path("data/published").rglob("*.csv"))]
RESULTS = sorted(str(path) for path in Path("data/results").rglob("*.csv"))
PAGES = sorted(
    str(path)
    for top in ("book", "data", "src", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff")
    for path in ([Path(top)] if Path(top).is_file() else Path(top).rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts
)


def can_run(name):
    """Whether the files that a notebook reads are at hand; a tutorial reads none."""
    metadata = nbformat.read(f"notebooks/{name}.ipynb", as_version=4).metadata
    return all(available(file) for file in metadata.get("latentgenomes", {}).get("data", []))


# Without its data a notebook is shown with the outputs that are stored in the repository.
SHOWN = {name: f"build/executed/{name}.ipynb" if can_run(name) else f"notebooks/{name}.ipynb" for name in NOTEBOOKS}

# The book's numbers are the stored ones on every processor: as in notebooks/conftest.py.
ARITHMETIC = "OMP_NUM_THREADS=1 MKL_CBWR=AVX2,STRICT ATEN_CPU_CAPABILITY=avx2"

# The kernel of this environment, no training bars in the pages, one thread for each of two notebooks at a time.
os.environ.update(JUPYTER_PREFER_ENV_PATH="1", LATENTGENOMES_PROGRESS="0")
os.environ.setdefault("OMP_NUM_THREADS", "1")


localrules: all, site, mirror, stage, runtimes


rule all:
    input: "build/site/_build/html/index.html"


rule execute:
    input: notebook="notebooks/{name}.ipynb", tables=TABLES + RESULTS
    params: code=FINGERPRINT
    output: "build/executed/{name}.ipynb"
    shell:
        ARITHMETIC + " papermill {input.notebook} {output}"
        " --cwd notebooks --kernel python3 --no-progress-bar --log-level WARNING"
        " 2> >(grep -v 'Kernel is running over TCP without encryption' >&2)"  # both ends are this machine


rule stage:
    input: notebook=lambda wildcards: SHOWN[wildcards.name], step="book/build.py"
    output: BOOK + "/notebooks/{name}.ipynb"
    shell: "python {input.step} stage {input.notebook} {output}"


rule runtimes:
    input: notebooks=list(SHOWN.values()), step="book/build.py"
    output: BOOK + "/book/runtimes.md"
    shell: "python {input.step} runtimes {output} {input.notebooks}"


rule mirror:
    input: pages=PAGES, step="book/build.py"
    output: touch("build/mirrored")
    shell: "python {input.step} mirror " + BOOK


# All pages are written anew: the contents on the left are in each of them, and -W judges only pages it reads.
rule site:
    input:
        "build/mirrored", BOOK + "/book/runtimes.md",
        expand(BOOK + "/notebooks/{name}.ipynb", name=NOTEBOOKS),
        toc="book/_toc.yml", config="_config.yml"
    output: "build/site/_build/html/index.html"
    shell:
        "jupyter-book build " + BOOK + " --toc $PWD/{input.toc} --config {input.config}"
        " --path-output build/site --all -W -n --keep-going"


rule results:
    input: expand("build/results/{name}/{name}.ipynb", name=PRESETS)


# A full run leaves its tables, with their provenance, in the folder `results` of its outputs.
rule full_run:
    input: notebook="notebooks/{name}.ipynb", preset="notebooks/params/{name}.full.yaml", tables=TABLES
    output: "build/results/{name}/{name}.ipynb"
    params: code=FINGERPRINT, subject=lambda wildcards: wildcards.name.rpartition("_")[0].replace("survival", "expression")
    shell:
        "latentgenomes run {wildcards.name} -f {input.preset} -o build/results/{wildcards.name}"
        " && mkdir -p data/results/{params.subject}"
        " && cp build/results/{wildcards.name}/results/* data/results/{params.subject}/"
