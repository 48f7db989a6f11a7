"""The shortest vector among all weighted means of some gradients."""

import numpy as np

from bitswitch.contracts.method import Products

STEPS = 1000
"""Of active sets at most; there are fewer sets of seven bit-widths."""


def min_norm_weights(products: Products) -> list[float]:
    """Return the weights a that minimize |sum_t a_t g_t|, all of them >= 0, with sum 1.

    The step against that mean of the gradients lowers every objective, unless the mean is 0: then
    no step does. Where several weights give the shortest mean, these are some of them.

    The problem is one of least squares: over c >= 0, |sum_t c_t g_t|^2 + (1 - sum_t c_t)^2 is least
    along the direction of a, as for c = s a it is s^2 |sum_t a_t g_t|^2 + (1 - s)^2, which the best
    s leaves the lower, the shorter the mean. Active sets solve it exactly, in finitely many steps.

    >>> [[round(weight, 9) for weight in min_norm_weights([[1.0, b], [b, 3.0]])] for b in (0, 2)]
    [[0.75, 0.25], [1.0, 0.0]]

    Args:
        products: Inner products of the gradients g_t, [passes][passes].

    Source: desideri2012multiple, section 2; sener2018multitask, Eq. 3.
    """
    from scipy.optimize import nnls  # takes long to import

    gram = np.asarray(products, dtype=np.float64)
    longest = np.diag(gram).max()
    if longest == 0.0:
        return [1 / len(gram)] * len(gram)
    values, vectors = np.linalg.eigh(gram / longest)
    root = np.sqrt(values.clip(min=0.0))[:, None] * vectors.T
    target = np.append(np.zeros(len(gram)), 1.0)
    found, _ = nnls(np.vstack([root, np.ones(len(gram))]), target, maxiter=STEPS)
    weights: list[float] = (found / found.sum()).tolist()
    return weights


def cosines(products: Products) -> list[list[float]]:
    """Return the inner products of the same gradients, each divided by its norm.

    A gradient of zeros stays one.

    >>> cosines([[4.0, 3.0], [3.0, 9.0]])
    [[1.0, 0.5], [0.5, 1.0]]
    """
    gram = np.asarray(products, dtype=np.float64)
    norms = np.sqrt(np.diag(gram))
    norms[norms == 0.0] = 1.0
    scaled: list[list[float]] = (gram / np.outer(norms, norms)).tolist()
    return scaled
