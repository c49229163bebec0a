"""The presets: each is the very table that a configuration could hold in its place."""

from typing import Any

PRESET_TABLES: dict[str, dict[str, Any]] = {
    "hmac-sha256-hex": {},
    "hmac-sha256-base64": {"encoding": "base64"},
    # https://www.standardwebhooks.com; Svix, which it comes from, has names of its own for the same headers:
    # https://docs.svix.com/receiving/verifying-payloads/how-manual
    "standard-webhooks": {
        "header": "webhook-signature",
        "encoding": "base64",
        "prefix": "v1,",
        "ed25519_prefix": "v1a,",
        "separator": " ",
        "timestamp_header": "webhook-timestamp",
        "id_header": "webhook-id",
        "alternatives": [
            {"header": "svix-signature", "timestamp_header": "svix-timestamp", "id_header": "svix-id"},
        ],
        "signed": "{id}.{timestamp}.{body}",
        "key": "whsec",
    },
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    "github": {"header": "x-hub-signature-256", "prefix": "sha256="},
    # https://docs.stripe.com/webhooks/signature
    "stripe": {
        "header": "stripe-signature",
        "prefix": "v1=",
        "separator": ",",
        "timestamp_prefix": "t=",
        "signed": "{timestamp}.{body}",
    },
    # https://developer.paddle.com/webhooks/signature-verification
    "paddle": {
        "header": "paddle-signature",
        "prefix": "h1=",
        "separator": ";",
        "timestamp_prefix": "ts=",
        "signed": "{timestamp}:{body}",
    },
    # https://shopify.dev/docs/apps/build/webhooks/subscribe/https
    "shopify": {"header": "x-shopify-hmac-sha256", "encoding": "base64"},
    # https://docs.slack.dev/authentication/verifying-requests-from-slack
    "slack": {
        "header": "x-slack-signature",
        "prefix": "v0=",
        "timestamp_header": "x-slack-request-timestamp",
        "signed": "v0:{timestamp}:{body}",
    },
    # https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
    "hubspot-v3": {
        "header": "x-hubspot-signature-v3",
        "encoding": "base64",
        "timestamp_header": "x-hubspot-request-timestamp",
        "timestamp_unit": "milliseconds",
        "signed": "{method}{url}{body}{timestamp}",
        "url_decoded": ":/?@!$'()*,;",
    },
    # https://developers.rewardful.com/webhooks/signed-webhooks
    "rewardful": {"header": "x-rewardful-signature"},
    # https://dub.co/docs/concepts/webhooks/verify-webhook-requests. Dub makes the secrets, `whsec_` and 16 characters,
    # and takes no others.
    "dub": {"header": "dub-signature", "shortest_secret": 22},
}
"""Of schemes whose signature covers the body."""

UNSIGNED_TABLES: dict[str, dict[str, Any]] = {
    # RFC 7617
    "basic": {
        "algorithm": "token",
        "header": "authorization",
        "prefix": "Basic ",
        "encoding": "base64",
        "key": "user:password",
        "signed": "",
    },
    # RFC 6750
    "bearer": {
        "algorithm": "token",
        "header": "authorization",
        "prefix": "Bearer ",
        "encoding": "text",
        "signed": "",
    },
    "none": {"algorithm": "none", "signed": ""},
}
"""Of schemes that prove nothing about the body: a source with one of them needs another fence."""
