"""Importing this imports every parser: what a process does once that others are forked from."""

from __future__ import annotations

from forensics.parsers import parsers

parsers()
