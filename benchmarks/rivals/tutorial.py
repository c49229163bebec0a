"""
The receiver that most guides arrive at: FastAPI, a Pydantic model, one database row and one commit per request.

SQLite with the defaults of SQLAlchemy and of SQLite itself: a rollback journal, synced at each commit.
"""

import hashlib
import hmac
import os
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

SECRET = os.environ["BENCH_SECRET"].encode()
engine = create_engine(os.environ["BENCH_DATABASE"], connect_args={"check_same_thread": False})
app = FastAPI()


class Event(BaseModel):
    """What is read of a body; the rest of it is kept as it is."""

    id: str
    type: str
    schema_version: str
    timestamp: str
    data: dict[str, Any]


class Base(DeclarativeBase):
    """The tables."""


class WebhookEvent(Base):
    """One received event."""

    __tablename__ = "webhook_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[str]
    event_type: Mapped[str]
    payload: Mapped[str]


Base.metadata.create_all(engine)


@app.post("/webhooks/{source}")
async def receive(
    source: str, event: Event, request: Request, x_webhook_signature: Annotated[str, Header()]
) -> dict[str, str]:
    """Verify, insert, commit, answer."""
    body = await request.body()
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, x_webhook_signature):
        raise HTTPException(status_code=401, detail="Invalid signature")
    with Session(engine) as session:
        session.add(WebhookEvent(event_id=event.id, event_type=event.type, payload=body.decode()))
        session.commit()
    return {"status": "accepted", "source": source, "event_id": event.id}
