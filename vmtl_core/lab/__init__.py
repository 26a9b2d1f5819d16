"""What the book needs and the core does not: data, experiments, pictures, exercises.

Its rooms: `datasets`, `baselines`, `experiments`, `scores`, `plots`, `widgets`, `exercises`.
Nothing here is imported by ``import vmtl_core``.  The modules of this package need the extra
libraries of the book (pandas, scikit-learn, statsmodels, ...); import the one that you want, for
example ``from vmtl_core.lab import datasets``.
"""
