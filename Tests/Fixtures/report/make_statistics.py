"""Student's t and intervals of means by scipy; writes statistics.json."""
import json
import numpy as np
from scipy import stats

samples = [[1.0, 2.0], [458.3, 460.1, 455.2, 462.9, 454.4], [0.01, 0.012, 0.011, 0.5], list(map(float, range(40)))]
json.dump(
    {
        "t975": [[df, float(stats.t.ppf(0.975, df))] for df in [1, 2, 3, 4, 9, 29, 30, 31, 40, 60, 120, 1000]],
        "means": [
            {
                "samples": s,
                "mean": float(np.mean(s)),
                "interval": [float(x) for x in stats.t.interval(0.95, len(s) - 1, np.mean(s), stats.sem(s))],
            }
            for s in samples
        ],
    },
    open("statistics.json", "w"),
)
