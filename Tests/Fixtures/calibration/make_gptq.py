"""What GPTQ gives, computed with numpy in double precision from the published algorithm (Frantar et al. 2022): the
inverse of the damped second moments, its upper Cholesky factor, and column by column the error that is taken off the
columns to come. Furl computes the same without an inverse; its codes have to agree.

    python3 make_gptq.py > gptq.json
"""

import json

import numpy as np

ROWS, COLUMNS, POSITIONS, DAMPING = 20, 72, 160, 0.01


def half(x):
    return np.float64(np.float16(x))


def grid(scheme, values):
    """The scale and the minimum of a block, as they are stored, from its extremes."""
    if scheme == "int4-minimum":
        return half((values.max() - values.min()) / 15), half(values.min())
    largest = values[np.argmax(np.abs(values))]
    return (half(abs(largest) / 127), 0.0) if scheme == "int8" else (half(largest / -8), 0.0)


BOUNDS = {"int8": (-127, 127), "int4": (-8, 7), "int4-minimum": (0, 15)}


def nearest(scheme, value, scale, minimum):
    if scale == 0:
        return 0
    return int(np.clip(np.rint((value - minimum) / scale), *BOUNDS[scheme]))


def order_of(diagonal, block, by_activation):
    """The columns in the order of codes: whole blocks, and within them columns, by the size of their inputs."""
    blocks = [list(range(start, min(start + block, COLUMNS))) for start in range(0, COLUMNS, block)]
    if by_activation:
        blocks.sort(key=lambda columns: -diagonal[columns].sum())
        blocks = [sorted(columns, key=lambda column: -diagonal[column]) for columns in blocks]
    return blocks


def gptq(weights, inputs, scheme, block, by_activation):
    moments = inputs.T @ inputs
    blocks = order_of(np.diag(moments), block, by_activation)
    order = [column for columns in blocks for column in columns]
    damped = moments + DAMPING * np.mean(np.diag(moments)) * np.eye(COLUMNS)
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    upper = np.linalg.cholesky(inverse).T
    left = weights[:, order].copy()
    codes = np.zeros_like(weights, dtype=int)
    decoded = np.zeros_like(weights)
    for row in range(ROWS):
        done = 0
        for columns in blocks:
            scale, minimum = grid(scheme, left[row, done : done + len(columns)])
            for column in columns:
                code = nearest(scheme, left[row, done], scale, minimum)
                codes[row, column] = code
                decoded[row, column] = code * scale + minimum
                error = (left[row, done] - decoded[row, column]) / upper[done, done]
                left[row, done:] -= error * upper[done, done:]
                done += 1
    lost = (weights - decoded) @ inputs.T
    return codes, (lost**2).sum()


random = np.random.default_rng(5)
mixing = random.normal(size=(COLUMNS, COLUMNS)) / np.sqrt(COLUMNS) + 0.5 * np.eye(COLUMNS)
spread = np.exp(random.normal(size=COLUMNS) * 0.7)
inputs = np.rint(random.normal(size=(POSITIONS, COLUMNS)) @ mixing * spread * 16) / 16
weights = np.rint(random.standard_t(6, size=(ROWS, COLUMNS)) * 400) / 4096
cases = []
for scheme in BOUNDS:
    for block in (32, 64, COLUMNS):
        for by_activation in (False, True):
            codes, loss = gptq(weights, inputs, scheme, block, by_activation)
            cases.append(
                {
                    "scheme": scheme + (":row" if block == COLUMNS else f":{block}"),
                    "order": "activation" if by_activation else "natural",
                    "loss": loss,
                    "codes": codes.flatten().tolist(),
                }
            )
print(
    json.dumps(
        {
            "rows": ROWS,
            "columns": COLUMNS,
            "positions": POSITIONS,
            "damping": DAMPING,
            "inputs_times_16": (inputs * 16).astype(int).flatten().tolist(),
            "weights_times_4096": (weights * 4096).astype(int).flatten().tolist(),
            "cases": cases,
        }
    )
)
