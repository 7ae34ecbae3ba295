# ruff: noqa: F401 - imported for what that leaves behind
"""What a process that will run a mutant has imported before: libraries alone, and nothing of what may be changed."""

import alembic.command
import apscheduler.schedulers.background
import fastapi
import httpx
import jinja2
import pydantic_settings
import pyrage
import pytest
import sqlalchemy.dialects.sqlite
import structlog
