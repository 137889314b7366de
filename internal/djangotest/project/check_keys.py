"""What TestDjangoKeepsKeys wants of jotgate_auth: an assertion that fails is an exit with an error."""
import http.client
import importlib
import io
import json
import threading
import unittest.mock

import jotgate_auth
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"  # RFC 8037, appendix A.1


def keys_of(*kids):
    keys = [{"kty": "OKP", "crv": "Ed25519", "x": X, "alg": "EdDSA", "kid": kid} for kid in kids]
    return io.BytesIO(json.dumps({"keys": keys}).encode())


def issuer(answer):
    return unittest.mock.patch("urllib.request.urlopen", lambda url, timeout: answer())


def new_keys():
    keys = jotgate_auth.Keys("https://app.example.com/jwks.json")
    with issuer(lambda: keys_of("old")):
        assert keys["old"][1] == "EdDSA"
    keys.fetched = keys.tried = float("-inf")
    return keys


def start(act):
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


# One thread waits for an issuer that hangs, and so does who needs what it is asked for; the others use what is there.
keys, asked, answering, found = new_keys(), threading.Event(), threading.Event(), []


def hang():
    asked.set()
    assert answering.wait(30)
    return keys_of("old", "new")


with issuer(hang):
    waiting = [start(lambda: keys["old"])]
    assert asked.wait(30)
    waiting.append(start(lambda: found.append(keys["new"])))
    others = [start(lambda: keys["old"]) for _ in range(8)]
    for thread in others:
        thread.join(5)
        assert not thread.is_alive(), "a thread that knows the key waits for the issuer"
    waiting[1].join(0.2)
    assert waiting[1].is_alive(), "a new key is not waited for"
    answering.set()
    for thread in waiting:
        thread.join(30)
assert len(found) == 1, "a key that came is not used"

# Why there are no newer keys is in the log, once for each time that they were asked for.
for failure in (OSError("nobody there"), http.client.BadStatusLine("nobody there")):
    keys = new_keys()
    with issuer(unittest.mock.Mock(side_effect=failure)), unittest.TestCase().assertLogs("jotgate_auth", "WARNING") as logs:
        assert keys["old"] and keys["old"]
    assert len(logs.output) == 1 and "nobody there" in logs.output[0] and keys.url in logs.output[0], logs.output

# An issuer that no token names is none.
for wrong in ("https://app.example.com/", "", None):
    with override_settings(JOTGATE={"ISSUER": wrong}):
        try:
            importlib.reload(jotgate_auth)
        except ImproperlyConfigured:
            continue
    raise AssertionError(f"the issuer {wrong!r} is taken")
