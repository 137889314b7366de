"""Write hashes.json: what Django's own hashers make of some passwords.

    /usr/bin/python3 testdata/django/hashes.py > testdata/django/hashes.json

Django has scrypt since 4.0. Under an older one the same line is written here, with
hashlib.scrypt and Django's format, and "made_by" says so.
"""
import base64
import hashlib
import json
import sys

import django
from django.conf import settings

MODULE = "django.contrib.auth.hashers."
settings.configure(PASSWORD_HASHERS=[MODULE + "PBKDF2PasswordHasher", MODULE + "Argon2PasswordHasher",
                                     MODULE + "BCryptSHA256PasswordHasher"])
django.setup()

from django.contrib.auth import hashers  # noqa: E402

PASSWORDS = {
    "plain": "correct horse battery staple",
    "short": "s3cret",
    "composed": "Caf\u00e9 \u00c5ngstr\u00f6m \u2615 tea",
    "decomposed": "Cafe\u0301 A\u030angstro\u0308m \u2615 tea",
    "beyond the basic plane": "\U0001f511 key under the mat \U0001f511",
    "longer than 72 bytes": "x" * 72 + " and then something that counts",
    "dollars": "$2b$12$ is not a salt",
    "spaces at both ends": "  two and two  ",
}


def cheap_bcrypt():
    """Few rounds, because the tests run under a race detector, too."""
    hasher = hashers.BCryptSHA256PasswordHasher()
    hasher.rounds = 5
    return hasher


def scrypt(password, salt, n=2**14, r=8, p=1):
    own = getattr(hashers, "ScryptPasswordHasher", None)
    if own:
        return own().encode(password, salt, n, r, p), "django"
    made = hashlib.scrypt(password.encode(), salt=salt.encode(), n=n, r=r, p=p, maxmem=0, dklen=64)
    return "scrypt$%d$%s$%d$%d$%s" % (n, salt, r, p, base64.b64encode(made).decode()), "hashlib"


def main():
    hashes = []

    def add(name, password, encoded, made_by="django"):
        hashes.append({"name": name, "password": password, "hash": encoded, "made_by": made_by})

    for name, password in PASSWORDS.items():
        add("pbkdf2, " + name, password, hashers.make_password(password, hasher="pbkdf2_sha256"))
        add("argon2, " + name, password, hashers.make_password(password, hasher="argon2"))
        add("bcrypt, " + name, password, cheap_bcrypt().encode(password, cheap_bcrypt().salt()))
        encoded, made_by = scrypt(password, hashers.get_hasher().salt(), n=2**10)
        add("scrypt, " + name, password, encoded, made_by)
    pbkdf2 = hashers.PBKDF2PasswordHasher()
    add("pbkdf2 of Django 1.4", "s3cret", pbkdf2.encode("s3cret", "seasalt12345", 10000))
    add("pbkdf2 of Django 6.0", "s3cret", pbkdf2.encode("s3cret", pbkdf2.salt(), 1200000))
    add("bcrypt as Django sets it", "s3cret", hashers.make_password("s3cret", hasher="bcrypt_sha256"))
    add("scrypt of Django 4.0", "s3cret", *scrypt("s3cret", pbkdf2.salt()))
    add("scrypt of Django 5.1", "s3cret", *scrypt("s3cret", pbkdf2.salt(), p=5))
    for entry in hashes:
        if entry["made_by"] == "django":
            try:
                assert hashers.check_password(entry["password"], entry["hash"]), entry["name"]
            except ValueError as e:
                raise SystemExit(entry["name"]) from e
    json.dump({"django": django.get_version(), "hashes": hashes}, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
