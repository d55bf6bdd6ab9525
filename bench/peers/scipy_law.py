"""Chinchilla's objective minimised by scipy.optimize.minimize (BFGS) from evenly spaced starts of the published grid.

    python scipy_law.py POINTS.csv STARTS        prints {"seconds", "starts", "objective"}
"""

import csv
import itertools
import json
import sys
import time

import numpy as np
from scipy.optimize import minimize
from scipy.special import huber, logsumexp

rows = [[float(cell) for cell in row] for row in list(csv.reader(open(sys.argv[1])))[1:]]
params, flops, loss = np.array(sorted(rows, key=lambda row: row[2])[:240]).T
log_n, log_d, log_l = np.log(params), np.log(flops / (6 * params)), np.log(loss)


def objective(theta):
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * log_n, b - beta * log_d, np.full_like(log_n, e)])
    return huber(1e-3, log_l - logsumexp(terms, axis=0)).sum()


grid = list(
    itertools.product(np.arange(0, 26, 5), np.arange(0, 26, 5), np.arange(-1, 1.1, 0.5), np.arange(0, 2.1, 0.5), np.arange(0, 2.1, 0.5))
)
count = int(sys.argv[2])
starts = [grid[i * len(grid) // count] for i in range(count)]
begin = time.perf_counter()
best = min(minimize(objective, start, method="BFGS").fun for start in starts)
print(json.dumps({"seconds": time.perf_counter() - begin, "starts": count, "objective": float(best)}))
