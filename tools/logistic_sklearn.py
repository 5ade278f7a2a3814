"""Times scikit-learn's logistic regression to a loss 1e-8 above its minimum, on sets that another program wrote.

    pip install scikit-learn numpy
    python tools/logistic_sklearn.py FOLDER REPEATS

FOLDER has files NAME.npz with `rows` [n, d], `labels` [n] (-1 and 1) and `l2`; the loss is mean log(1 + exp(-y x.w)) + l2/2 |w|^2. Each
solver runs at the largest tolerance among powers of ten that reaches 1e-8. Prints a JSON object: milliseconds of `fit`, data in memory.
Threads are those of the environment (OMP_NUM_THREADS, OPENBLAS_NUM_THREADS).
"""

import json
import platform
import sys
import time
import warnings
from pathlib import Path

import numpy
import sklearn
from sklearn.linear_model import LogisticRegression

NEAR = 1e-8
SOLVERS = ["lbfgs", "saga", "newton-cholesky"]
# More steps than any of them needs: the tolerance ends them.
MAX_ITER = 5000

warnings.simplefilter("ignore")


def loss(rows, labels, l2, w):
    return numpy.mean(numpy.logaddexp(0, -labels * (rows @ w))) + 0.5 * l2 * w @ w


def least(rows, labels, l2):
    """The minimum, by Newton's method with halved steps."""
    n, d = rows.shape
    w = numpy.zeros(d)
    for _ in range(100):
        p = 1 / (1 + numpy.exp(labels * (rows @ w)))
        slope = rows.T @ (-labels * p) / n + l2 * w
        hessian = (rows.T * (p * (1 - p))) @ rows / n + l2 * numpy.eye(d)
        step, length, here = numpy.linalg.solve(hessian, slope), 1.0, loss(rows, labels, l2, w)
        while loss(rows, labels, l2, w - length * step) > here and length > 1e-6:
            length /= 2
        w = w - length * step
    return loss(rows, labels, l2, w)


def timed(model, rows, labels):
    start = time.perf_counter()
    model.fit(rows, labels)
    return 1e3 * (time.perf_counter() - start)


def solver(name, rows, labels, l2, minimum, repeats):
    for exponent in range(1, 15):
        model = LogisticRegression(
            C=1 / (l2 * len(rows)), fit_intercept=False, solver=name, tol=10.0**-exponent, max_iter=MAX_ITER, random_state=0
        )
        timed(model, rows, labels)
        left = loss(rows, labels, l2, model.coef_[0]) - minimum
        if left <= NEAR:
            break
    times = sorted(timed(model, rows, labels) for _ in range(repeats))
    return {
        "tolerance": 10.0**-exponent,
        "left": left,
        "iterations": int(model.n_iter_[0]),
        "median_ms": times[len(times) // 2],
        "least_ms": times[0],
    }


def main():
    folder, repeats = Path(sys.argv[1]), int(sys.argv[2])
    results = {"versions": {"python": platform.python_version(), "numpy": numpy.__version__, "scikit-learn": sklearn.__version__}}
    for path in sorted(folder.glob("*.npz")):
        file = numpy.load(path)
        rows, labels, l2 = file["rows"], file["labels"], float(file["l2"])
        minimum = least(rows, labels, l2)
        results[path.stem] = {name: solver(name, rows, labels, l2, minimum, repeats) for name in SOLVERS}
    print(json.dumps(results))


main()
