"""Whatever a sender does, it gets one of the documented answers; and whatever was answered 200 can be loaded."""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzzed_receiver import REQUESTS, Fuzzed, Headers, Request
from tests.preset_senders import CONFIGURATION, ENVIRON, SCHEMES, signed_headers
from tests.running_receiver import ROOT, RunningReceiver

_MOST_BYTES, _MOST_UNPACKED_BYTES = 20_000, 30_000
_METHODS = ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]

bounded = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


def _fuzz(root: Path, examples: int, act: Callable[[Fuzzed, Request, st.DataObject], None]) -> None:
    """Let *act* meet a running receiver with so many requests; then load what it took."""
    with RunningReceiver(root, CONFIGURATION, environ=ENVIRON) as receiver:
        fuzzed = Fuzzed(receiver)

        @given(request=REQUESTS, data=st.data())
        @settings(bounded, max_examples=examples)
        def run(request: Request, data: st.DataObject) -> None:
            act(fuzzed, request, data)

        run()
        fuzzed.assert_loads(root)


def _post_well_signed(fuzzed: Fuzzed, request: Request, _data: st.DataObject) -> None:
    expected = 200 if len(request.body) <= _MOST_BYTES else 413
    assert fuzzed.send(request, request.signature()).status_code == expected


def test_whatever_is_signed_well_is_answered_200_and_can_be_loaded(tmp_path: Path) -> None:
    """By every preset, with any bytes for a body: accepted or quarantined, never lost, never a stop to the loader."""
    _fuzz(tmp_path, 150, _post_well_signed)


@pytest.mark.slow
def test_forty_times_as_many_that_are_signed_well_are_answered_200_and_can_be_loaded(tmp_path: Path) -> None:
    """The same with 6,000 requests."""
    _fuzz(tmp_path, 6_000, _post_well_signed)


def _post_with_a_bad_signature(fuzzed: Fuzzed, request: Request, data: st.DataObject) -> None:
    request = replace(request, body=request.body[:_MOST_BYTES])
    scheme = SCHEMES[request.name]
    signature = request.signature()
    name = scheme.header
    headers: dict[str, Headers] = {
        "missing": [],
        "empty": [(name, " ")],
        "repeated": [*signature, (name, dict(signature).get(name, ""))],
        "huge": [(name, "x" * 20_000), *signature[1:]],
        "garbled": [
            (name, data.draw(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])))),
            *signature[1:],
        ],
        "cut": [(name, dict(signature).get(name, "")[:-1]), *signature[1:]],
        "of another body": signed_headers(request.name, request.body + b" ", ""),
    }
    fault = data.draw(st.sampled_from(sorted(headers)))
    is_proven = not scheme.needs_secret or (fault == "of another body" and not scheme.covers_body)
    assert fuzzed.send(request, headers[fault]).status_code == (200 if is_proven else 401)


def test_no_signature_that_is_not_right_is_anything_but_401(tmp_path: Path) -> None:
    """By every preset that asks for one: missing, repeated, huge, garbled, cut, or made for other bytes."""
    _fuzz(tmp_path, 60, _post_with_a_bad_signature)


def _gzip_bomb(_body: bytes) -> bytes:
    return gzip.compress(b" " * 1_000_000)


_ENCODED: dict[str, tuple[str, Callable[[bytes], bytes], int]] = {
    "gzip": ("gzip", gzip.compress, 200),
    "gzip in two members": ("x-gzip", lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:]), 200),
    "zlib": ("deflate", zlib.compress, 200),
    "raw deflate": ("Deflate", lambda body: zlib.compress(body)[2:-4], 200),
    "none": ("identity", bytes, 200),
    "a gzip that is none": ("gzip", bytes, 400),
    "a gzip cut short": ("gzip", lambda body: gzip.compress(body)[:-1], 400),
    "a gzip with more behind it": ("gzip", lambda body: gzip.compress(body) + b"x", 400),
    "a bomb": ("gzip", _gzip_bomb, 413),
    "brotli": ("br", bytes, 415),
    "two": ("gzip, gzip", gzip.compress, 415),
    "no name of any": ("\xff", bytes, 415),
}


def _post_encoded(fuzzed: Fuzzed, request: Request, data: st.DataObject) -> None:
    name, encode, expected = _ENCODED[data.draw(st.sampled_from(sorted(_ENCODED)))]
    original = request.body
    request = replace(request, body=encode(original), headers=(*request.headers, ("Content-Encoding", name)))
    if len(request.body) > _MOST_BYTES or (expected == 200 and len(original) > _MOST_UNPACKED_BYTES):
        expected = 413
    assert fuzzed.send(request, request.signature()).status_code == expected


def test_every_true_encoding_is_read_and_every_false_one_refused(tmp_path: Path) -> None:
    """Signed as sent: compressed bodies load, and broken ones are 400, bombs 413, unknown ones 415."""
    _fuzz(tmp_path, 60, _post_encoded)


def _post_elsewhere(fuzzed: Fuzzed, request: Request, data: st.DataObject) -> None:
    signature = request.signature()
    if data.draw(st.booleans()):
        elsewhere = data.draw(
            st.sampled_from(["nobody", "github/", "github/x", "", "GITHUB", "..", "%00", "%ff", "%2e%2e%2fx"])
        )
        assert fuzzed.send(replace(request, name=elsewhere), signature).status_code == 404
    else:
        assert fuzzed.send(request, signature, method=data.draw(st.sampled_from(_METHODS))).status_code == 405


def test_no_other_path_or_method_is_anything_but_404_or_405(tmp_path: Path) -> None:
    """However well it is signed, and whatever it carries."""
    _fuzz(tmp_path, 40, _post_elsewhere)


class _SigningAs(requests.auth.AuthBase):
    """Signs each request when its bytes are known."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign, for the source that it is sent to; one that nobody knows is signed for another."""
        body = request.body or b""
        assert isinstance(body, bytes | str)
        source = request.path_url.partition("?")[0].rpartition("/")[2]
        signature = signed_headers(
            source if source in SCHEMES else "github",
            body.encode() if isinstance(body, str) else body,
            str(request.url),
        )
        request.headers.update(signature)
        return request


_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("method", ["post", "others"])
def test_the_receiver_keeps_to_its_description_in_openapi(tmp_path: Path, method: str) -> None:
    """Whatever can be derived from the description, by the rules or against them, gets an answer that stands in it."""
    description = json.loads((ROOT / "tests" / "fixtures" / "receiver_openapi.json").read_text(encoding="utf-8"))
    operations = [
        found.ok()
        for found in schemathesis.openapi.from_dict(description).get_all_operations()
        if isinstance(found, Ok)
    ]
    chosen = [each for each in operations if (each.method == "post") is (method == "post")]
    assert len(operations) == 6
    with RunningReceiver(tmp_path, CONFIGURATION, environ=ENVIRON) as receiver, requests.Session() as session:
        session.trust_env = False
        fuzzed = Fuzzed(receiver)

        @given(case=st.one_of(*(each.as_strategy(generation_mode=mode) for each in chosen for mode in GenerationMode)))
        @settings(bounded, max_examples=40)
        def run(case: schemathesis.Case[Any]) -> None:
            answer = case.call_and_validate(base_url=receiver.url, session=session, checks=_CHECKS, auth=_SigningAs())
            if method == "post":
                fuzzed.note(answer.status_code, str(case.path_parameters["source"]), answer.content)

        run()
        fuzzed.assert_loads(tmp_path)
