"""The constants of the weak hyperpriors, (5.6), in standard units, and where the fit starts."""

import math

START_SD, MEAN_SD = 0.3, math.sqrt(0.5)
"""A learned base prior: the sd it starts from, as that of the posteriors; the sd of m_0's prior."""
START_WIDTH, STATIONARY_WIDTH = 0.3, 1.0
"""Where a learned transfer width starts, and one in units of p_0's sd."""
FEW = 12
"""Up to so many tasks the hyperprior of v_0 has all its weight; beyond, FEW / T of it."""
