# SPDX-License-Identifier: Apache-2.0
"""Python packages that only tests need, in build/venv (made here when they can be installed)."""
import os
import subprocess
import sys
import threading

from harness import core

VENV = os.path.join(core.ROOT, "build", "venv")
_mu = threading.Lock()


def venv_python(t, module="grpc", package="grpcio"):
    """The python of build/venv with the module in it, or a skip."""
    python = os.path.join(VENV, "bin", "python")
    with _mu:
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode if os.path.exists(python) else True:
            for argv in ([sys.executable, "-m", "venv", VENV], [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", package]):
                try:
                    r = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)
                except (OSError, subprocess.TimeoutExpired) as e:
                    t.skip(f"{package} cannot be installed: {e}")
                if r.returncode:
                    t.skip(f"{package} cannot be installed: {(r.stderr or r.stdout).strip()[-200:]}")
    return python


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
