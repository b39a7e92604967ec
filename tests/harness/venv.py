#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Python packages that only tests need, in build/venv. `./run test` runs this file before any test: what tests share is never made while some
of them already use it. A test then asks for the interpreter or a script of it, and is skipped where the packages could not be had."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import core  # noqa: E402

VENV = os.path.join(core.ROOT, "build", "venv")
LIST = os.path.join(core.ROOT, "tools", "packages", "python.txt")
STAMP = os.path.join(VENV, "packages.txt")          # what was installed: the list as it was then


def is_whole():
    try:
        with open(STAMP) as have, open(LIST) as want:
            return have.read() == want.read()
    except OSError:
        return False


def make():
    """The reason why not, or None."""
    if is_whole():
        return None
    for argv in ([sys.executable, "-m", "venv", VENV], [os.path.join(VENV, "bin", "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", LIST]):
        try:
            r = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        except (OSError, subprocess.TimeoutExpired) as e:
            return str(e)
        if r.returncode:
            return (r.stderr or r.stdout).strip()[-300:]
    shutil.copyfile(LIST, STAMP)
    return None


def venv_program(t, name):
    """The path of a program of build/venv, or a skip."""
    if not is_whole():
        t.skip("the packages of tools/packages/python.txt are not in build/venv (./run test fetches them)")
    return os.path.join(VENV, "bin", name)


def venv_python(t):
    return venv_program(t, "python")


def certificates(t):
    """Paths of ca.pem, and of cert.pem with key.pem for localhost and 127.0.0.1, signed by it."""
    def openssl(*args):
        r = subprocess.run(["openssl", *args], cwd=t.dir, capture_output=True, text=True, check=False)
        core.check(r.returncode == 0, r.stderr)
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    openssl("req", *new_key, "-keyout", "key.pem", "-out", "cert.csr", "-subj", "/CN=localhost")
    t.write("ext", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem", "-days", "2", "-extfile", "ext")
    return t.path("ca.pem"), t.path("cert.pem"), t.path("key.pem")


if __name__ == "__main__":
    why = make()
    if why:
        print(f"could not fill build/venv, the tests that need it will be skipped: {why}", file=sys.stderr)
