"""Invented servers, drawn by a seed, each with its truth: what measures the analysis, and nothing else.

The modules of `sample_logs` write the bytes; put that folder and `tests` on `sys.path` to use this one.
"""
