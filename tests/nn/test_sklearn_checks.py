"""scikit-learn's own contract for estimators, over every estimator of the package."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.signatures.models.klnmf import KLNMF
from latentgenomes.signatures.models.vaems import VAEMS


@parametrize_with_checks(
    [
        KLNMF(n_signatures=2, n_restarts=2, max_iter=400, tol=1e-6, random_state=0),
        VAEMS(n_signatures=2, n_restarts=2, hidden=(6,), max_epochs=3, random_state=0),
    ]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)
