"""All derivative rules by their functions: apart, so that compiled functions see which there are without
loading them."""

from __future__ import annotations

from typing import Any

RULES: dict[Any, Any] = {}
