"""Statistics of judges by other programs: python3 judge_statistics.py > ../fixtures/eval/judge-statistics.json

pip install numpy scipy pandas scikit-learn (seen: 2.4.6, 1.17.1, 3.1.1, 1.9.1). All inputs are made up.
"""

import json
import warnings

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

warnings.filterwarnings("ignore")
random = np.random.default_rng(7)


def lasso():
    """L1-penalised logistic regression on soft targets: every row once for each label, weighted by its probability."""
    rows, folds = 60, 5
    features = np.column_stack([np.tanh(random.normal(size=rows)), random.normal(size=rows), np.ones(rows)]).round(4)
    targets = (1 / (1 + np.exp(-features @ np.array([-2.0, 0.8, -0.7]) - random.normal(size=rows)))).round(4)

    def fit(keep, strength):
        model = LogisticRegression(
            C=strength, penalty="l1", solver="liblinear", fit_intercept=False, tol=1e-12, max_iter=100000, random_state=1
        )
        x, p = features[keep], targets[keep]
        twice = np.concatenate([x, x])
        labels = np.concatenate([np.ones(len(p)), np.zeros(len(p))])
        return model.fit(twice, labels, sample_weight=np.concatenate([p, 1 - p])).coef_[0]

    everything = np.ones(rows, bool)
    strengths = np.logspace(-4, 4, 10)
    losses = []
    for strength in strengths:
        each = []
        for fold in range(folds):
            held = np.arange(rows) % folds == fold
            q = 1 / (1 + np.exp(-features[held] @ fit(~held, strength)))
            p = targets[held]
            each.append(-np.mean(p * np.log(q) + (1 - p) * np.log(1 - q)))
        losses.append(np.mean(each))
    best = strengths[int(np.argmin(losses))]
    return {
        "features": features.tolist(),
        "targets": targets.tolist(),
        "folds": folds,
        "fits": [{"strength": c, "weights": fit(everything, c).tolist()} for c in [0.02, 0.1, 1.0, 100.0]],
        "strength": best,
        "weights": fit(everything, best).tolist(),
    }


def kappa():
    cases = []
    for size, rows in [(2, 20), (3, 40), (5, 60)]:
        first = random.integers(0, size, rows)
        second = np.where(random.random(rows) < 0.6, first, random.integers(0, size, rows))
        cases.append({"first": first.tolist(), "second": second.tolist(), "kappa": cohen_kappa_score(first, second)})
    return cases


def rates():
    preferences = [1.0, 2.0, 1.5, 0.0, 1.2, 1.9, 1.0000001, 1.5000001, 2.0, 1.4]
    shares = pd.Series(preferences).replace({0.0: 1.5}) - 1
    rounded = pd.Series([0.5 if share == 0.5 else float(round(share)) for share in shares])
    return {
        "preferences": preferences,
        "win_rate": shares.mean() * 100,
        "standard_error": shares.sem() * 100,
        "discrete_win_rate": rounded.mean() * 100,
    }


def intervals():
    return {
        "z": [{"confidence": c, "z": stats.norm.ppf((1 + c) / 2)} for c in [0.01, 0.5, 0.9, 0.95, 0.99, 0.9999]],
        "wilson": [
            {"count": k, "total": n, "lower": interval.low, "upper": interval.high}
            for k, n in [(0, 10), (3, 10), (95, 100), (10, 10)]
            for interval in [stats.binomtest(k, n).proportion_ci(0.95, "wilson")]
        ],
    }


print(json.dumps({"lasso": lasso(), "kappa": kappa(), "rates": rates(), "intervals": intervals()}))
