"""Experiments of the chapters: one module each, such as `schools`, with what it compares and stores.

Their names repeat (every experiment has a `compare` and `results`), so import the module:
``from vmtl_core.lab.experiments import schools``.
"""
