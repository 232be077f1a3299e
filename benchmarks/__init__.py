"""Measurements against peers, run by hand; every table names command, hardware and date."""
