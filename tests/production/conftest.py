"""The web server of the job's own tests serves these too."""

from tests.beam_jobs.conftest import web

__all__ = ["web"]
