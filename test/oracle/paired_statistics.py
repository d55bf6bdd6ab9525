"""Paired tests by SciPy: python3 paired_statistics.py > ../fixtures/eval/paired-statistics.json

pip install numpy scipy (seen: 2.4.6, 1.17.1). All inputs are made up.
"""

import json

import numpy as np
from scipy import special, stats

random = np.random.default_rng(23)


def student():
    cases = [[t, df] for t in (0.0, 0.01, 0.7, 1.96, 5.5, 40.0) for df in (1, 2, 7, 61, 1999, 14041)]
    quantiles = [[c, df] for c in (0.5, 0.9, 0.95, 0.999) for df in (1, 2, 7, 61, 1999, 14041)]
    return {
        "two_sided": [[t, df, 2 * stats.t.sf(t, df)] for t, df in cases],
        "quantile": [[c, df, stats.t.ppf((1 + c) / 2, df)] for c, df in quantiles],
        "log_gamma": [[x, special.gammaln(x)] for x in (0.1, 0.5, 1.0, 2.5, 7.99, 8.0, 31.5, 7021.0)],
    }


def mcnemar():
    """The exact test is the binomial test of the discordant pairs."""
    cases = [(0, 0), (0, 1), (1, 1), (3, 9), (9, 3), (12, 40), (100, 101), (700, 900), (0, 1200), (2000, 2600)]
    return [[b, c, stats.binomtest(b, b + c).pvalue if b + c else 1.0] for b, c in cases]


def shares():
    """Bonett and Price's adjusted Wald interval, written out."""
    made = []
    for gained, lost, n in [(3, 9, 40), (0, 0, 10), (0, 5, 5), (120, 95, 2376)]:
        up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
        half = stats.norm.ppf(0.975) * np.sqrt((up + down - (up - down) ** 2) / (n + 2))
        made.append([gained, lost, n, max(-1, up - down - half), min(1, up - down + half)])
    return made


def t_tests():
    made = []
    for n in (2, 5, 200):
        ours = random.normal(size=n).round(3)
        theirs = (ours * 0.6 + random.normal(0.2, 0.5, size=n)).round(3)
        test = stats.ttest_rel(ours, theirs)
        interval = test.confidence_interval(0.95)
        made.append(
            {
                "ours": ours.tolist(),
                "theirs": theirs.tolist(),
                "difference": float((ours - theirs).mean()),
                "p": float(test.pvalue),
                "lower": float(interval.low),
                "upper": float(interval.high),
            }
        )
    return made


def bootstrap():
    """Bits per byte of 80 texts under two models: paired percentile bootstrap of the difference."""
    n = 80
    weights = random.integers(50, 900, size=n)
    ours = (-weights * random.normal(0.9, 0.15, size=n)).round(2)
    theirs = (ours + weights * random.normal(0.02, 0.06, size=n)).round(2)

    def difference(a, b, w, axis=-1):
        return -(a.sum(axis) - b.sum(axis)) / w.sum(axis) / np.log(2)

    made = stats.bootstrap(
        (ours, theirs, weights),
        difference,
        paired=True,
        vectorized=True,
        n_resamples=200_000,
        batch=2000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    return {
        "ours": ours.tolist(),
        "theirs": theirs.tolist(),
        "weights": weights.tolist(),
        "difference": float(difference(ours, theirs, weights)),
        "lower": float(made.confidence_interval.low),
        "upper": float(made.confidence_interval.high),
        "standard_error": float(made.standard_error),
    }


print(json.dumps({"student": student(), "mcnemar": mcnemar(), "shares": shares(), "t": t_tests(), "bootstrap": bootstrap()}))
