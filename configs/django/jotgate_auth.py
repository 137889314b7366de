"""Authenticate the requests of a Django REST framework project by jotgate's access tokens.

Copy this file into the project, and in its settings:

    JOTGATE = {"ISSUER": "https://app.example.com"}
    REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["jotgate_auth.JotgateAuthentication"]}

Tokens are verified here, by the issuer's public keys; jotgate is not asked about a
request. JOTGATE may also have AUDIENCE (left out, the issuer), JWKS_URL (where the
keys are fetched; left out, below the issuer), ORIGINS (from which requests with the
cookie may write or open a WebSocket; left out, the issuer alone) and USER (a dotted path: claims → user).
"""
import http.client
import json
import logging
import re
import threading
import time
import urllib.request

import jwt
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from rest_framework import authentication, exceptions, permissions

COOKIE = "__Host-Http-jotgate-access"
# The header is read before anybody has vouched for it, and JSON that nests deep is more than Python's stack takes.
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,300}(\.[A-Za-z0-9_-]{1,4096}){2}")
REQUIRED = ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "mode", "roles"]
LEEWAY = 30  # seconds

logger = logging.getLogger(__name__)


class Unavailable(exceptions.APIException):
    status_code = 503
    default_detail = "The keys that tokens are verified with cannot be had."
    wait = 10  # seconds, for Retry-After


class Keys:
    """The issuer's keys, each with its one algorithm. They are fetched when they are five minutes old or one is not
    among them, at most every ten seconds, by one thread, for which only those wait whose key is not there; while the
    issuer is away the old ones stay."""

    def __init__(self, url):
        self.url, self.lock, self.keys = url, threading.Lock(), {}
        self.fetched = self.tried = float("-inf")

    def __getitem__(self, kid):
        if self.due(kid) and self.lock.acquire(blocking=kid not in self.keys):
            try:
                if self.due(kid):  # and not fetched by who had the lock
                    self.fetch()
            finally:
                self.lock.release()
        if not self.keys:
            raise Unavailable
        return self.keys[kid]

    def due(self, kid):
        now = time.monotonic()
        return (now - self.fetched > 300 or kid not in self.keys) and now - self.tried > 10

    def fetch(self):
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                found = json.loads(answer.read(1 << 16))["keys"]
            self.keys = {k["kid"]: (jwt.PyJWK(k).key, k["alg"]) for k in found if k["kty"] != "oct"}
            self.fetched = time.monotonic()
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, jwt.PyJWTError) as err:
            logger.warning("no keys from %s: %r", self.url, err)
        finally:
            self.tried = time.monotonic()  # when it is over, so that who needs a new key waits for it


def setting(name, default=None):
    return settings.JOTGATE.get(name, default)


ISSUER = setting("ISSUER")
if not ISSUER or ISSUER.endswith("/"):
    raise ImproperlyConfigured('JOTGATE["ISSUER"] is the public URL of jotgate, without a slash at its end.')
KEYS = Keys(setting("JWKS_URL", ISSUER + "/.well-known/jwks.json"))


def user_by_name(claims):
    """The Django user whose username is the token's subject, made at the first request. One with a password signed up
    in Django under that name, and is somebody else."""
    users = get_user_model()
    name = {users.USERNAME_FIELD: claims["sub"]}
    user = users.objects.get_or_create(**name, defaults={"password": make_password(None)})[0]
    return None if user.has_usable_password() else user


class JotgateAuthentication(authentication.BaseAuthentication):
    """request.user is the subject's Django user, and request.auth the token's claims."""

    def authenticate(self, request):
        mode, token = self.credential(request)
        if token is None:
            return None
        claims = self.verify(token)
        if claims["mode"] != mode:
            raise exceptions.AuthenticationFailed("The token was issued for the other way to present it.")
        if mode == "cookie" and not self.same_origin(request):
            raise exceptions.PermissionDenied("The request does not show that it comes from this site.")
        user = import_string(setting("USER", __name__ + ".user_by_name"))(claims)
        if user is None or not user.is_active:
            raise exceptions.AuthenticationFailed("The user may not enter.")
        return user, claims

    def authenticate_header(self, request):
        invalid = self.credential(request)[1] is not None
        return 'Bearer realm="jotgate"' + (', error="invalid_token"' if invalid else "")

    def credential(self, request):
        """The header, of whatever scheme, makes the cookie invisible. Two cookies of the name are no token, because
        one of them was not set by this host; Django would show only the last."""
        if "HTTP_AUTHORIZATION" in request.META:
            scheme, _, token = request.META["HTTP_AUTHORIZATION"].partition(" ")
            return "bearer", token if scheme.lower() == "bearer" else None
        pairs = [p.strip(" \t").partition("=") for p in request.META.get("HTTP_COOKIE", "").split(";")]
        found = [value for name, _, value in pairs if name == COOKIE]
        return "cookie", ",".join(found) if found else None

    def verify(self, token):
        try:
            if not TOKEN.fullmatch(token):
                raise jwt.InvalidTokenError
            header = jwt.get_unverified_header(token)
            key, alg = KEYS[header["kid"]]
            if header != {"alg": alg, "kid": header["kid"], "typ": "at+jwt"}:
                raise jwt.InvalidTokenError
            return jwt.decode(token, key, algorithms=[alg], issuer=ISSUER, audience=setting("AUDIENCE", ISSUER),
                              leeway=LEEWAY, options={"require": REQUIRED})
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            raise exceptions.AuthenticationFailed("The access token is not valid.") from None

    def same_origin(self, request):
        if request.method in ("GET", "HEAD", "OPTIONS") and not self.opens_websocket(request.META):
            return True
        if request.META.get("HTTP_SEC_FETCH_SITE") == "same-origin":
            return True
        return request.META.get("HTTP_ORIGIN", "null") in set(setting("ORIGINS", [ISSUER])) - {"null"}

    def opens_websocket(self, meta):
        """What is written through the socket later shows no origin. A proxy may drop Upgrade; a browser always sends a
        version."""
        protocols = meta.get("HTTP_UPGRADE", "").lower().split(",")
        return ("HTTP_SEC_WEBSOCKET_VERSION" in meta or "HTTP_SEC_WEBSOCKET_KEY" in meta
                or "websocket" in map(str.strip, protocols))


def has_role(role):
    """A permission class: permission_classes = [has_role("admin")]."""

    class HasRole(permissions.BasePermission):
        def has_permission(self, request, view):
            return isinstance(request.auth, dict) and role in request.auth.get("roles", ())

    return HasRole
