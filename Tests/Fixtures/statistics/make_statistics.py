"""Writes statistics.json: reference values from scipy and statsmodels.

    python3 make_statistics.py > statistics.json        (needs numpy, scipy, statsmodels)
"""
import json

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


def tango(b, c, n, confidence, side):
    """Tango's limit by numeric maximization of the restricted likelihood (no closed form)."""
    z = stats.norm.ppf(confidence)

    def score(margin):  # hypothesis: difference (c - b) / n == margin
        def loss(p):  # p: share of regressions; share of fixes = p + margin
            q = p + margin
            terms = [(b, p), (c, q), (n - b - c, 1 - p - q)]
            return -sum(k * np.log(x) if k else 0 for k, x in terms if k or x > 0)

        low, high = max(0.0, -margin) + 1e-13, (1 - margin) / 2 - 1e-13
        p = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
        variance = n * (2 * p + margin - margin * margin)
        return (c - b - n * margin) / np.sqrt(variance)

    estimate = (c - b) / n
    if side == "lower":
        return optimize.brentq(lambda m: score(m) - z, -1 + 1e-9, estimate - 1e-9, xtol=1e-12)
    return optimize.brentq(lambda m: score(m) + z, estimate + 1e-9, 1 - 1e-9, xtol=1e-12)


def newcombe(a, b, c, n, level):
    """Newcombe (1998), method 10, on statsmodels' Wilson intervals; b regressions, c fixes."""
    d = n - a - b - c
    new, old = (a + c) / n, (a + b) / n
    l1, u1 = proportion_confint(a + c, n, 1 - level, "wilson")
    l2, u2 = proportion_confint(a + b, n, 1 - level, "wilson")
    product = (a + b) * (c + d) * (a + c) * (b + d)
    phi = 0.0
    if product:
        covariance = a * d - b * c
        if covariance > 0:
            covariance = max(covariance - n / 2, 0)
        phi = covariance / np.sqrt(product)
    down = np.sqrt((new - l1) ** 2 - 2 * phi * (new - l1) * (u2 - old) + (u2 - old) ** 2)
    up = np.sqrt((u1 - new) ** 2 - 2 * phi * (u1 - new) * (old - l2) + (old - l2) ** 2)
    return [new - old - down, new - old + up]


def splitmix(seed):
    mask = (1 << 64) - 1
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        x = state
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        yield x ^ (x >> 31)


def bootstrap(clusters, resamples=10_000, seed=0):
    """The percentile bootstrap of whole clusters, with the draws of SplitMix64."""
    draws = splitmix(seed)
    k = len(clusters)
    sums = np.array([s for s, _ in clusters])
    counts = np.array([n for _, n in clusters])
    chosen = np.array([[(next(draws) * k) >> 64 for _ in range(k)] for _ in range(resamples)])
    means = sums[chosen].sum(1) / counts[chosen].sum(1)
    return [float(np.quantile(means, q)) for q in (0.025, 0.05, 0.5, 0.95, 0.975)]


def needed(margin, flips, confidence):
    """The first count at which Tango's lower limit lies above -margin; changes may be fractions."""
    n = 1
    while True:
        share = flips / 2 * n
        if share + share < n and tango(share, share, n, confidence, "lower") > -margin:
            return n
        n = n + 1 if n < 300 else int(n * 1.001) + 1


result = {"wilson": [], "mcnemar": [], "paired": [], "holm": [], "cluster_bootstrap": [], "normal": []}
for k, n in [(0, 1), (1, 1), (3, 7), (50, 164), (164, 164), (999, 1000), (2, 3819)]:
    for level in (0.9, 0.95, 0.99):
        low, high = proportion_confint(k, n, 1 - level, "wilson")
        result["wilson"].append({"k": k, "n": n, "level": level, "interval": [max(0.0, low), min(1.0, high)]})
for b, c in [(0, 3), (7, 7), (12, 4), (1, 20), (60, 40)]:
    exact = stats.binomtest(min(b, c), b + c, 0.5).pvalue
    result["mcnemar"].append({"b": b, "c": c, "exact": min(1.0, exact)})
for a, b, c, n in [(46, 4, 2, 164), (0, 0, 0, 20), (12, 5, 1, 40), (100, 0, 9, 164), (3, 30, 2, 50), (450, 12, 9, 1000),
                   (1900, 77, 75, 3819), (0, 7, 3, 10)]:
    for confidence in (0.9, 0.95, 0.99):
        result["paired"].append({
            "both": a, "regressions": b, "fixes": c, "n": n, "confidence": confidence,
            "newcombe": newcombe(a, b, c, n, confidence),
            "tango_lower": tango(b, c, n, confidence, "lower"), "tango_upper": tango(b, c, n, confidence, "upper")})
rng = np.random.default_rng(7)
for p in [[0.01], [0.04, 0.01], [0.02, 0.02, 0.02], [0.9, 0.001, 0.03, 0.2], list(rng.random(9) ** 3)]:
    result["holm"].append({"p": p, "adjusted": list(multipletests(p, method="holm")[1])})
for size, seed in [(1, 0), (5, 0), (28, 3)]:
    clusters = [[round(float(s), 6), int(n)] for s, n in zip(rng.normal(2, 5, size), rng.integers(1, 40, size))]
    result["cluster_bootstrap"].append({"clusters": clusters, "seed": seed, "quantiles": bootstrap(clusters, seed=seed)})
result["needed"] = [
    {"margin": m, "flips": f, "confidence": 0.95, "problems": needed(m, f, 0.95)}
    for m, f in [(0.05, 0.0), (0.05, 0.02), (0.02, 0.0), (0.1, 0.2), (0.01, 0.0)]]
result["normal"] = [{"p": p, "z": float(stats.norm.ppf(p))} for p in (1e-12, 0.01, 0.2, 0.9, 0.999)]
print(json.dumps(result, indent=1))
