"""The cases in which knowledge is measured: what is known, and what is true."""

import pytest

from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.evaluate import cosine_similarity
from latentgenomes.signatures.experiments.knowledge import CASES, draw_case


def test_the_cases_differ_in_what_is_known_and_in_what_is_true():
    cosmic = cosmic_signatures()
    drawn = {case: draw_case(case, 0, n_samples=20) for case in CASES}
    truth, known = drawn["all known"]
    assert known.equals(cosmic)
    assert truth.signatures.shape == (16, 96)
    assert set(known.index) - set(drawn["three unknown"][1].index) == {"SBS4", "SBS10a", "SBS12"}
    assert drawn["three unknown"][0].counts.equals(truth.counts)
    changed = drawn["two changed"][0].signatures
    cosines = cosine_similarity(changed, cosmic.loc[changed.index])
    moved = [name for name in changed.index if cosines.loc[name, name] < 1 - 1e-9]
    assert moved == ["SBS17b", "SBS3"]
    assert all(0.8 < cosines.loc[name, name] < 0.999 for name in moved)


def test_an_unknown_case_is_refused():
    with pytest.raises(
        ValueError, match="case must be one of all known, two changed, three unknown, but 'no'"
    ):
        draw_case("no", 0)
