"""What pruning by reconstruction gives, computed with numpy and scipy in double precision.

The group lasso is solved by plain proximal gradient steps, far beyond where they stop moving; the refit is numpy's
least-squares solution on the inputs themselves; the linear map is that of hidden states in the same way.

    python3 make_pruning.py > pruning.json
"""

import json

import numpy as np

OUTPUTS, COLUMNS, POSITIONS = 7, 24, 120
DAMPING = 1e-4  # of the lasso, as a share of the mean variance


def short(values):
    """Numbers that FP32 holds and that few digits say."""
    return np.round(values * 64) / 64


def inputs(rng):
    common = rng.standard_normal((POSITIONS, 5))
    mixed = common @ rng.standard_normal((5, COLUMNS)) + rng.standard_normal((POSITIONS, COLUMNS))
    return short(mixed * rng.uniform(0.2, 3, COLUMNS) + rng.uniform(-4, 4, COLUMNS))


def lasso(weight, covariance, groups, penalty):
    damped = covariance + np.eye(COLUMNS) * DAMPING * np.trace(covariance) / COLUMNS
    factor = np.zeros_like(damped)
    for group in groups:
        factor[np.ix_(group, group)] = np.linalg.cholesky(damped[np.ix_(group, group)])
    inverse = np.linalg.inv(factor)
    correlation = inverse @ damped @ inverse.T
    original = weight @ factor
    current = original.copy()
    step = 1 / np.linalg.eigvalsh(correlation)[-1]
    for _ in range(20000):
        current = current + step * (original - current) @ correlation
        for group in groups:
            length = np.linalg.norm(current[:, group])
            current[:, group] *= max(0, 1 - step * penalty / length) if length > 0 else 0
    lengths = [float(np.linalg.norm(current[:, group])) for group in groups]
    difference = original - current
    objective = 0.5 * np.trace(difference @ correlation @ difference.T) + penalty * sum(lengths)
    return lengths, float(objective)


def refit(weight, x, kept):
    """The weights and the bias that give w x nearest from the kept columns alone."""
    design = np.hstack([x[:, kept], np.ones((len(x), 1))])
    solution = np.linalg.lstsq(design, x @ weight.T, rcond=None)[0]
    return solution[:-1].T, solution[-1]


def sparse(weight, x, sparsity):
    """SparseGPT as published: the upper Cholesky factor of the inverse of the damped second moments."""
    moments = x.T @ x
    moments += np.eye(COLUMNS) * 0.01 * np.trace(moments) / COLUMNS
    upper = np.linalg.cholesky(np.linalg.inv(moments)).T
    current = weight.copy()
    scores = current**2 / np.diag(upper) ** 2
    count = int(sparsity * scores.size)
    gone = np.zeros(scores.size, bool)
    gone[np.argsort(scores.ravel(), kind="stable")[:count]] = True
    gone = gone.reshape(scores.shape)
    for column in range(COLUMNS):
        kept = np.where(gone[:, column], 0, current[:, column])
        error = (current[:, column] - kept) / upper[column, column]
        current[:, column] = kept
        current[:, column + 1 :] -= np.outer(error, upper[column, column + 1 :])
    return current


def main():
    rng = np.random.default_rng(5)
    x = inputs(rng)
    weight = short(rng.standard_normal((OUTPUTS, COLUMNS)))
    covariance = np.cov(x, rowvar=False, bias=True)
    cases = []
    for size in (1, 4):
        groups = [list(range(start, start + size)) for start in range(0, COLUMNS, size)]
        for penalty in (0.5, 2.0, 6.0):
            lengths, objective = lasso(weight, covariance, groups, penalty)
            cases.append({"size": size, "penalty": penalty, "lengths": lengths, "objective": objective})
    kept = [1, 2, 5, 6, 7, 9, 12, 13, 17, 18, 20, 23]
    refitted, bias = refit(weight, x, kept)

    states = x[:, :8]
    later = states + states @ rng.standard_normal((8, 8)).T * 0.3 + 2 + 0.5 * np.tanh(x[:, 8:16])
    later = short(later)
    design = np.hstack([states, np.ones((POSITIONS, 1))])
    solution = np.linalg.lstsq(design, later - states, rcond=None)[0]
    rest = later - states - design @ solution
    print(
        json.dumps(
            {
                "outputs": OUTPUTS,
                "columns": COLUMNS,
                "positions": POSITIONS,
                "inputs": x.ravel().tolist(),
                "weight": weight.ravel().tolist(),
                "means": x.mean(0).tolist(),
                "covariance": covariance.ravel().tolist(),
                "lasso": cases,
                "kept": kept,
                "refitted": refitted.ravel().tolist(),
                "bias": bias.tolist(),
                "sparse": sparse(weight, x, 0.5).ravel().tolist(),
                "later": later.ravel().tolist(),
                "map": solution[:-1].T.ravel().tolist(),
                "map_bias": solution[-1].tolist(),
                "unexplained": float(rest.var(0).sum() / (later - states).var(0).sum()),
            }
        )
    )


main()
