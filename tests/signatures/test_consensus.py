"""Clusters of restarts: what they must be whatever came in, and scikit-learn's silhouette beside ours."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from latentgenomes.signatures.models.consensus import cluster_signatures


def make_restarts(n_restarts, n_signatures, noise, seed):
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(30, 0.2), size=n_signatures)
    orders = [rng.permutation(n_signatures) for _ in range(n_restarts)]
    noisy = np.stack([truth[order] for order in orders]) + noise * rng.exponential(
        1 / 30, size=(n_restarts, n_signatures, 30)
    )
    return truth, orders, noisy / noisy.sum(-1, keepdims=True)


def test_shuffled_copies_fall_into_their_clusters():
    truth, orders, restarts = make_restarts(7, 6, 0.0, 1)
    found = cluster_signatures(restarts)
    np.testing.assert_allclose(found.silhouettes, 1.0, atol=1e-6)
    for restart, order in enumerate(orders):
        # the same true signature in every restart of a cluster
        np.testing.assert_array_equal(order[found.members[restart]], orders[0][found.members[0]])
    np.testing.assert_allclose(found.signatures, truth[orders[0][found.members[0]]], atol=1e-12)


def test_every_cluster_holds_one_signature_of_each_restart():
    restarts = np.random.default_rng(2).dirichlet(np.ones(20), size=(9, 5))
    found = cluster_signatures(restarts)
    np.testing.assert_array_equal(np.sort(found.members, axis=1), np.tile(np.arange(5), (9, 1)))
    np.testing.assert_allclose(found.signatures.sum(1), 1.0)


def test_silhouettes_are_those_of_scikit_learn():
    _, _, restarts = make_restarts(8, 4, 2.0, 3)
    found = cluster_signatures(restarts)
    ordered = np.take_along_axis(restarts, found.members[:, :, None], axis=1)
    labels = np.tile(np.arange(4), 8)
    oracle = silhouette_samples(ordered.reshape(32, -1), labels, metric="cosine")
    np.testing.assert_allclose(found.silhouettes, oracle.reshape(8, 4), atol=1e-12)
    np.testing.assert_allclose(found.stability, oracle.reshape(8, 4).mean(0), atol=1e-12)


def test_the_order_and_the_scale_of_restarts_do_not_matter():
    _, _, restarts = make_restarts(6, 4, 1.0, 4)
    first = cluster_signatures(restarts)
    second = cluster_signatures(3.0 * restarts[::-1])
    key = np.lexsort(first.signatures.T), np.lexsort(second.signatures.T)
    np.testing.assert_allclose(first.signatures[key[0]], second.signatures[key[1]])
    assert second.medoid == 5 - first.medoid


def test_the_medoid_is_the_restart_nearest_to_the_centroids():
    _, _, restarts = make_restarts(5, 4, 1.5, 5)
    middle = cluster_signatures(restarts).signatures
    assert cluster_signatures(np.concatenate([restarts, middle[None]])).medoid == 5


def test_one_signature_and_one_restart_are_stable_by_definition():
    restarts = np.random.default_rng(6).dirichlet(np.ones(10), size=(3, 1))
    np.testing.assert_array_equal(cluster_signatures(restarts).silhouettes, 1.0)
    alone = np.random.default_rng(6).dirichlet(np.ones(10), size=(1, 3))
    np.testing.assert_allclose(cluster_signatures(alone).silhouettes, 1.0)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"must have the shape \(n_restarts"):
        cluster_signatures(np.ones((3, 4)))
    with pytest.raises(ValueError, match="finite and not all zero"):
        cluster_signatures(np.zeros((2, 2, 5)))
