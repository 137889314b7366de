"""Serve the project on 127.0.0.1:PORT until standard input ends, so that it never outlives who started it."""
import os
import sys
import threading

from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application


def leave_with_parent():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    threading.Thread(target=leave_with_parent, daemon=True).start()
    run("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), threading=True)
