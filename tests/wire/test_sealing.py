"""Sealing and opening (SPEC 3): others verify what we sign, we verify what they sign, and no byte can be moved."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws as jose
from joserfc.jwk import OKPKey
from jwcrypto import jwk
from jwcrypto import jws as crypto_jws

from schemas.exchange import JoinRequest
from schemas.registry import Card
from sync import sealing
from sync.errors import Deferred, Held, Refused, SyncError
from sync.keys import Keyring, Signer
from sync.sealing import ENTRY, JOIN, REMARK, SEAL, open_join, open_many, open_seal, open_statement, parse, seal
from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY
from tests.wire.good import join_payload, opened_payload
from tests.wire.judge import keyring_of
from tests.wire.make_vectors import VECTORS

SIGNER = Signer(c.private(COUNTY))
KEYRING = keyring_of({"keys": c.keys()})
PUBLIC = {"kty": "OKP", "crv": "Ed25519", "x": c.b64(c.public(COUNTY))}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=100)


def signed(payload: c.Json | None = None, typ: str = ENTRY) -> bytes:
    return seal(payload or opened_payload(), typ, SIGNER)


def test_key_id_is_the_thumbprint_others_compute():
    assert SIGNER.kid == c.kid(COUNTY) == OKPKey.import_key(PUBLIC).thumbprint() == jwk.JWK(**PUBLIC).thumbprint()


def test_statement_verifies_with_joserfc():
    found = jose.deserialize_json(json.loads(signed()), OKPKey.import_key(PUBLIC), algorithms=["Ed25519"])
    assert json.loads(found.payload) == opened_payload()


def test_statement_verifies_with_jwcrypto():
    found = crypto_jws.JWS()
    found.allowed_algs = ["Ed25519"]
    found.deserialize(signed().decode(), jwk.JWK(**PUBLIC))
    assert json.loads(found.payload) == opened_payload()


def test_statement_of_joserfc_opens():
    secret = c.b64(c.private(COUNTY).private_bytes_raw())
    member = {"protected": {"alg": "Ed25519", "kid": c.kid(COUNTY), "typ": ENTRY}}
    made = jose.serialize_json(
        [member], c.dumps(opened_payload()), OKPKey.import_key({**PUBLIC, "d": secret}), algorithms=["Ed25519"]
    )
    found = open_statement(parse(json.dumps(made).encode()), KEYRING)
    assert (found.signer, found.payload.kind) == (COUNTY, "opened")


def test_statement_of_jwcrypto_opens():
    made = crypto_jws.JWS(c.dumps(opened_payload()))
    made.allowed_algs = ["Ed25519"]
    secret = jwk.JWK(**PUBLIC, d=c.b64(c.private(COUNTY).private_bytes_raw()))
    made.add_signature(secret, None, c.header(COUNTY, ENTRY).decode())
    flattened = json.loads(made.serialize())
    general = {"payload": flattened.pop("payload"), "signatures": [flattened]}
    assert open_statement(parse(c.dumps(general)), KEYRING).signer == COUNTY


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine: one verifier less")
def test_good_statements_verify_with_the_crypto_of_node():
    """A reader in another language, from SPEC 3.1, 3.3 and 2.1 alone."""
    script = """
    const c = require('crypto'), out = [];
    for (const v of JSON.parse(require('fs').readFileSync(0))) {
      const jws = JSON.parse(v.given.raw), payload = Buffer.from(jws.payload, 'base64url');
      const one = jws.signatures[0], header = JSON.parse(Buffer.from(one.protected, 'base64url'));
      const byKid = {};
      for (const x of Object.values(v.given.keys)) {
        const text = `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`;
        byKid[c.createHash('sha256').update(text).digest('base64url')] = x;
      }
      const key = c.createPublicKey({format: 'jwk', key: {kty: 'OKP', crv: 'Ed25519', x: byKid[header.kid]}});
      const ok = c.verify(null, `${one.protected}.${jws.payload}`, key, Buffer.from(one.signature, 'base64url'));
      out.push([ok, c.createHash('sha256').update(payload).digest('hex')]);
    }
    console.log(JSON.stringify(out));
    """
    files = sorted((VECTORS / "good").glob("*.json"))
    vectors = [
        one for one in map(json.loads, (file.read_text("utf-8") for file in files)) if "identity" in one["expect"]
    ]
    said = subprocess.run(["node", "-e", script], input=json.dumps(vectors), capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == [[True, vector["expect"]["identity"]] for vector in vectors]
    assert len(vectors) > 20


@given(texts, texts)
def test_what_is_sealed_opens_as_it_was(title: str, text: str):
    payload = opened_payload(body=b.opened(COUNTY, title=title[:100], source=text))
    found = open_statement(parse(signed(payload)), KEYRING)
    assert found.payload.body.title == title[:100]
    assert found.payload.body.source == text
    assert json.loads(c.payload_of(found.raw)) == payload


@given(st.data())
def test_any_one_byte_changed_is_refused_or_changes_nothing(data: st.DataObject):
    raw = signed()
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != raw[at]))
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
    try:
        found = open_statement(parse(changed), KEYRING)
    except SyncError:
        return
    assert found.id == c.identity(raw)
    assert c.payload_of(changed) == c.payload_of(raw)


@pytest.mark.slow
def test_any_one_bit_changed_is_refused():
    raw = signed()
    taken = []
    for at in range(len(raw)):
        for bit in range(8):
            changed = raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :]
            try:
                taken.append((at, bit, open_statement(parse(changed), KEYRING)))
            except SyncError:
                continue
    assert taken == []


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_type(raw: bytes):
    with pytest.raises(Refused):
        parse(raw)


@settings(max_examples=40)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda x: st.lists(x) | st.dictionaries(texts, x))
)
def test_any_payload_is_refused_or_held_by_type(value: object):
    with pytest.raises((Refused, Held, Deferred)):
        open_statement(parse(c.jws(json.dumps(value).encode(), ENTRY, COUNTY)), KEYRING)


def test_author_needs_no_verification_and_says_the_same():
    found = sealing.author(opened_payload(), ENTRY, SIGNER, COUNTY)
    assert found == open_statement(parse(found.raw), KEYRING)


def test_author_of_resumed_embeds_what_opening_finds():
    thread = b.on_offer()
    said = b.declined(thread, CITY)
    thread.add(COUNTY, "resumed", b.resumed(thread.head, said))
    found = sealing.author(json.loads(c.payload_of(thread.raws[-1])), ENTRY, SIGNER, COUNTY)
    opened = open_statement(parse(found.raw), KEYRING)
    assert found.embedded is not None
    assert opened.embedded is not None
    assert found.embedded.payload == opened.embedded.payload
    assert opened.embedded.signer == CITY


def test_seal_of_a_payload_too_large_is_refused():
    with pytest.raises(Refused, match="too-large"):
        signed({**opened_payload(), "body": {"a": "x" * 61440}})


def test_opening_many_gives_each_its_outcome_in_order():
    raws = [b.born().raws[0], c.flip(b.born().raws[0]), c.jws(b"{}", ENTRY, c.STRANGER)]
    found = open_many(map(parse, raws), KEYRING, None)
    assert [getattr(item, "code", "opened") for item in found] == ["opened", "bad-signature", "unknown-key"]


@pytest.mark.parametrize("typ", [ENTRY, REMARK, JOIN])
def test_seal_line_of_another_type_is_refused(typ: str):
    payload = c.seal_payload(c.document_header(COUNTY, CITY), b"")
    assert open_seal(parse(signed(payload, SEAL)), KEYRING).author == COUNTY
    with pytest.raises(Refused, match="wrong-type"):
        open_seal(parse(signed(payload, typ)), KEYRING)


def test_join_request_proves_the_key_it_brings():
    request = open_join(seal(join_payload(), JOIN, SIGNER))
    assert request == JoinRequest.model_validate(
        {**join_payload(), "node": Card.model_validate_json(c.dumps(c.card(COUNTY)))}
    )
    with pytest.raises(Deferred, match="unknown-key"):
        open_join(seal(join_payload(node=c.card(CITY)), JOIN, SIGNER))


def test_long_headers_of_liars_are_not_kept():
    """What a stranger sends is read before anything is verified: it must not stay in memory."""
    before = sealing._read_once.cache_info().currsize
    for n in range(20):
        header = c.dumps({"alg": "Ed25519", "kid": f"{n}" * 5000, "typ": ENTRY})
        assert parse(c.jws(b"{}", ENTRY, COUNTY, header)).kid == f"{n}" * 5000
    assert sealing._read_once.cache_info().currsize == before


def test_unknown_key_is_deferred_and_its_payload_never_read():
    with pytest.raises(Deferred, match="unknown-key"):
        open_statement(parse(c.jws(b"\xff not even text", ENTRY, COUNTY)), Keyring({}))
