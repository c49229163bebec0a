"""The least that a FastAPI route can do with a webhook: read it, and forget it."""

from fastapi import FastAPI, Request

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


@app.post("/webhooks/{source}")
async def receive(source: str, request: Request) -> dict[str, str]:
    """Answer without looking at the body."""
    await request.body()
    return {"status": "accepted", "source": source}
