"""What the service says about who is calling."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SessionResponse(BaseModel):
    """Who the caller is to the service."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "actor": "token:operator",
                    "role": "operator",
                    "expires_at": "2026-02-28T21:00:00.000000+00:00",
                }
            ]
        }
    )

    actor: str = Field(description="`anonymous`, `token:<role>`, `token:api` or `basic:<user>`.")
    role: str = Field(description="viewer, operator or admin.")
    expires_at: str | None = Field(description="When the session ends; null without one.")
