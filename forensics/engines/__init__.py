"""Engines: where the work runs. Each maps a function over jobs and yields results in the order of the jobs."""
