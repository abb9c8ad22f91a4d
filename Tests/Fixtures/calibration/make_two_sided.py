"""What two-sided rounding gives (Tseng et al. 2025, "Model-Preserving Adaptive Rounding"), computed with numpy in double
precision without either of its factors: the Kronecker product of both sides' moments is one large matrix over all weights,
column by column and row by row within, and errors are fed back by its L D Lᵀ, weight after weight. Furl computes the same
from two small factors; its codes have to agree.

    python3 make_two_sided.py > two_sided.json
"""

import json

import numpy as np

DAMPING = 0.01
BOUNDS = {"int8": (-127, 127), "int4": (-8, 7), "int4-minimum": (0, 15)}


def half(x):
    return np.float64(np.float16(x))


def grid(scheme, values):
    """The scale and the minimum of a row, as they are stored, from its extremes."""
    if scheme == "int4-minimum":
        return half((values.max() - values.min()) / 15), half(values.min())
    largest = values[np.argmax(np.abs(values))]
    return (half(abs(largest) / 127), 0.0) if scheme == "int8" else (half(largest / -8), 0.0)


def two_sided(weights, inputs, gradients, scheme, by_activation, shrinkage):
    rows, columns = weights.shape
    moments = inputs.T @ inputs
    order = np.argsort(-np.diag(moments), kind="stable") if by_activation else np.arange(columns)
    damped = moments + DAMPING * np.mean(np.diag(moments)) * np.eye(columns)
    outputs = gradients.T @ gradients
    shrunk = (1 - shrinkage) * outputs + shrinkage * np.mean(np.diag(outputs)) * np.eye(rows)
    whole = np.kron(damped[np.ix_(order, order)], shrunk)
    # whole = U D Uᵀ with a unit upper triangle: the Cholesky factor from the last weight to the first.
    lower = np.linalg.cholesky(whole[::-1, ::-1])
    upper = (lower / np.diag(lower))[::-1, ::-1]
    grids = [grid(scheme, row) for row in weights]
    flat = weights[:, order].T.flatten()
    errors = np.zeros_like(flat)
    codes = np.zeros(weights.shape, dtype=int)
    for place in range(flat.size):
        column, row = order[place // rows], place % rows
        wanted = flat[place] + upper[:place, place] @ errors[:place]
        scale, minimum = grids[row]
        code = int(np.clip(np.rint((wanted - minimum) / scale), *BOUNDS[scheme]))
        codes[row, column] = code
        errors[place] = flat[place] - (code * scale + minimum)
    loss = errors @ whole @ errors
    return codes, loss


def sample(random, count, width):
    mixing = random.normal(size=(width, width)) / np.sqrt(width) + 0.5 * np.eye(width)
    spread = np.exp(random.normal(size=width) * 0.7)
    return np.rint(random.normal(size=(count, width)) @ mixing * spread * 16) / 16


def case(random, rows, columns, positions, scheme, by_activation, shrinkage):
    weights = np.rint(random.standard_t(6, size=(rows, columns)) * 400) / 4096
    inputs, gradients = sample(random, positions, columns), sample(random, positions, rows)
    codes, loss = two_sided(weights, inputs, gradients, scheme, by_activation, shrinkage)
    return {
        "rows": rows,
        "columns": columns,
        "positions": positions,
        "scheme": scheme + ":row",
        "order": "activation" if by_activation else "natural",
        "shrinkage": shrinkage,
        "inputs_times_16": (inputs * 16).astype(int).flatten().tolist(),
        "gradients_times_16": (gradients * 16).astype(int).flatten().tolist(),
        "weights_times_4096": (weights * 4096).astype(int).flatten().tolist(),
        "loss": loss,
        "codes": codes.flatten().tolist(),
    }


random = np.random.default_rng(6)
# More rows than a slice has, and more columns than a panel.
cases = [
    case(random, 67, 24, 90, "int4", True, 0.1),
    case(random, 67, 24, 90, "int8", False, 0.02),
    case(random, 130, 12, 150, "int4-minimum", True, 0.5),
    case(random, 9, 140, 150, "int4", True, 0.02),
    case(random, 20, 72, 90, "int4-minimum", False, 0.1),
]
print(json.dumps({"damping": DAMPING, "cases": cases}))
