"""Throughput of stacked restarts against the same fits one at a time, as ratios.

Run: python benchmarks/ensemble.py

Both sides train the same VAE-MS networks on the same simulated catalogue with the same loop, seeds and
optimiser; only the stacking differs. Seconds depend on the machine, ratios much less. Each side is
timed several times, in turn, and the median is taken.
"""

import os
import statistics
import time

import torch

from latentgenomes.nn.ensemble import fit_ensemble, seeded
from latentgenomes.nn.train import TrainConfig, fit
from latentgenomes.signatures.models import poisson
from latentgenomes.signatures.models.vaems import VAEMSNet
from latentgenomes.signatures.simulate import simulate_signature_catalogs

N_RESTARTS = 20
N_SAMPLES = 1024
N_SIGNATURES = 8
N_REPEATS = 5


def catalogue() -> dict[str, torch.Tensor]:
    """Return a training set of the size at which restarts are wanted."""
    catalogs = simulate_signature_catalogs(N_SAMPLES, random_state=0)
    counts = torch.from_numpy(catalogs.counts.to_numpy()).float()
    prior = torch.from_numpy(catalogs.exposures.to_numpy()).float().clamp_min(0.1)
    return {"counts": counts, "prior_rate": prior, "log_factorial": poisson.sum_log_factorial(counts)}


def seconds(run: callable) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print one line per batch size."""
    os.environ["LATENTGENOMES_PROGRESS"] = "0"
    data = catalogue()
    print(f"{N_RESTARTS} restarts, {N_SAMPLES} samples, {torch.get_num_threads()} threads")
    for batch_size in (16, 128):
        # As many steps for each batch size; one fit at a time is timed on one restart.
        config = TrainConfig(max_epochs=2 if batch_size == 16 else 16, batch_size=batch_size)

        def stacked(config: TrainConfig = config) -> None:
            seeds = list(range(N_RESTARTS))
            nets = seeded(lambda: VAEMSNet(96, N_SIGNATURES), seeds)
            fit_ensemble(nets, [data] * N_RESTARTS, config, seeds=seeds, weights={"kl": 0.1})

        def alone(config: TrainConfig = config) -> None:
            net = seeded(lambda: VAEMSNet(96, N_SIGNATURES), [0])[0]
            fit(net, data, config, seed=0, weights={"kl": 0.1})

        stacked(), alone()
        pairs = [(seconds(stacked), seconds(alone)) for _ in range(N_REPEATS)]
        ratios = [N_RESTARTS * one / all_ for all_, one in pairs]
        print(f"batch {batch_size:4d}: {statistics.median(ratios):.1f} times the throughput per fit "
              f"(from {min(ratios):.1f} to {max(ratios):.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
