"""Writes fixtures/arena.json: votes, and ratings of them in float64 by brute force, one row of a dense matrix per vote.

    python test/oracle/arena_rankings.py        # numpy 2.4.6, scipy 1.17.1

Bradley-Terry and its penalised form by scipy's BFGS and Newton steps on the dense likelihood, sandwich errors from the
definition, Elo by a loop. Votes are random numbers.
"""

import json
import math
import pathlib

import numpy
import scipy.optimize
import scipy.stats

POINTS = 400 / math.log(10)


def votes_of(random, names, strengths, count, tie=0.15, pairs=None):
    votes = []
    start = 1_700_000_000
    for n in range(count):
        a, b = pairs[n % len(pairs)] if pairs else random.choice(len(names), 2, replace=False)
        p = 1 / (1 + math.exp(strengths[b] - strengths[a]))
        if random.random() < tie:
            winner = "tie" if random.random() < 0.5 else "tie (bothbad)"
        else:
            winner = "model_a" if random.random() < p else "model_b"
        votes.append([names[a], names[b], winner, round(start + float(random.uniform(0, 200 * 86400)), 3), int(random.integers(0, 12))])
    return votes


def design(votes, anchor):
    names = list(dict.fromkeys(name for vote in votes for name in vote[:2]))
    x = numpy.zeros((len(votes), len(names)))
    y = numpy.array([{"model_a": 1.0, "model_b": 0.0}.get(vote[2], 0.5) for vote in votes])
    for n, vote in enumerate(votes):
        x[n, names.index(vote[0])] = 1
        x[n, names.index(vote[1])] = -1
    return names, numpy.delete(x, names.index(anchor or names[0]), axis=1), y


def sigmoid(eta):
    return 1 / (1 + numpy.exp(-eta))


def log_likelihood(beta, x, y):
    eta = x @ beta
    return float(numpy.sum(y * eta - numpy.logaddexp(0, eta)))


def information(beta, x):
    p = sigmoid(x @ beta)
    return x.T @ (x * (p * (1 - p))[:, None])


def maximum(x, y):
    beta = scipy.optimize.minimize(lambda b: -log_likelihood(b, x, y), numpy.zeros(x.shape[1]), method="BFGS").x
    for _ in range(20):
        beta = beta + numpy.linalg.solve(information(beta, x), x.T @ (y - sigmoid(x @ beta)))
    return beta


def firth(x, y):
    def loss(beta):
        return -log_likelihood(beta, x, y) - 0.5 * numpy.linalg.slogdet(information(beta, x))[1]

    beta = scipy.optimize.minimize(loss, numpy.zeros(x.shape[1]), method="BFGS", options={"gtol": 1e-9}).x
    for _ in range(200):
        inverse = numpy.linalg.inv(information(beta, x))
        p = sigmoid(x @ beta)
        leverage = p * (1 - p) * numpy.einsum("np,pq,nq->n", x, inverse, x)
        beta = beta + inverse @ (x.T @ (y - p + leverage * (0.5 - p)))
    return beta, numpy.linalg.inv(information(beta, x))


def ratings(names, anchor, beta, covariance, confidence=0.95):
    z = scipy.stats.norm.ppf((1 + confidence) / 2)
    free = [name for name in names if name != (anchor or names[0])]
    rows = {anchor or names[0]: [1000.0, 1000.0, 1000.0]}
    for i, name in enumerate(free):
        error = math.sqrt(covariance[i, i])
        rows[name] = [1000 + POINTS * (beta[i] + s * z * error) for s in (0, -1, 1)]
    return rows


def sandwich(beta, x, y):
    inverse = numpy.linalg.inv(information(beta, x))
    scores = x * (y - sigmoid(x @ beta))[:, None]
    return inverse @ (scores.T @ scores) @ inverse


def elo(votes, k=4, home=0, margins=False, reversion=0, season=30):
    names = list(dict.fromkeys(name for vote in votes for name in vote[:2]))
    rating = {name: 1000.0 for name in names}
    ordered = sorted(votes, key=lambda vote: vote[3])
    now = 0
    for a, b, winner, time, margin in ordered:
        then = int((time - ordered[0][3]) // (season * 86400))
        while now < then:
            for name in rating:
                rating[name] = 1000 + (1 - reversion) * (rating[name] - 1000)
            now += 1
        y = {"model_a": 1.0, "model_b": 0.0}.get(winner, 0.5)
        lead = rating[a] + home - rating[b]
        expected = 1 / (1 + 10 ** (-lead / 400))
        factor = 1.0
        if margins:
            ahead = lead if y == 1 else -lead if y == 0 else 0
            factor = math.log(max(margin, 1) + 1) * 2.2 / (0.001 * ahead + 2.2)
        change = k * factor * (y - expected)
        rating[a] += change
        rating[b] -= change
    return rating


def main():
    random = numpy.random.default_rng(23)
    names = ["oak", "ash", "elm", "yew", "fir", "box"]
    votes = votes_of(random, names, [0.4, 0.9, -0.6, 0.0, 1.3, -1.1], 420)
    known, x, y = design(votes, None)
    beta = maximum(x, y)
    out = {"votes": votes, "bradley_terry": ratings(known, None, beta, sandwich(beta, x, y))}
    _, x_fir, _ = design(votes, "fir")
    beta_fir = maximum(x_fir, y)
    out["anchor_fir_90"] = ratings(known, "fir", beta_fir, sandwich(beta_fir, x_fir, y), 0.9)

    # One covariate set: four style differences of random conversations, standardised without centring.
    style = numpy.round(random.uniform(-1, 1, (len(votes), 4)) * [1, 0.8, 0.5, 0.9], 6)
    scaled = style / style.std(axis=0)
    full = numpy.hstack([x, scaled])
    both = maximum(full, y)
    covariance = sandwich(both, full, y)
    out["style"] = {
        "differences": style.tolist(),
        "ratings": ratings(known, None, both[:5], covariance[:5, :5]),
        "points": [[POINTS * (both[5 + f] + s * scipy.stats.norm.ppf(0.975) * math.sqrt(covariance[5 + f, 5 + f])) for s in (0, -1, 1)] for f in range(4)],
    }

    # A model that won everything and one that lost everything.
    extreme = [vote for vote in votes if vote[0] != "box" and vote[1] != "box"][:120]
    extreme += [["sun", name, "model_a", 0.0, 1] for name in names[:3]] + [[name, "fog", "model_a", 0.0, 1] for name in names[1:4]]
    known, x, y = design(extreme, None)
    beta, covariance = firth(x, y)
    out["extreme"] = {"votes": extreme, "ratings": ratings(known, None, beta, covariance)}

    out["elo"] = {
        "default": elo(votes),
        "k16_home": elo(votes, k=16, home=35),
        "margin": elo(votes, k=10, margins=True),
        "reversion": elo(votes, k=20, reversion=0.25, season=20),
    }
    grid = [0.51, 0.7, 0.9, 0.975, 0.995, 0.99995]
    out["normal_quantile"] = [[p, float(scipy.stats.norm.ppf(p))] for p in grid]
    out["normal_cdf"] = [[x, float(scipy.stats.norm.cdf(x))] for x in (-9, -7.5, -3.2, -0.4, 0, 1.7, 6.5)]
    path = pathlib.Path(__file__).parent / "fixtures" / "arena.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


main()
