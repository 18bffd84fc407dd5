"""A small certificate authority made by the openssl program."""
import os
import ssl
import subprocess


CURVE = ("-pkeyopt", "ec_paramgen_curve:prime256v1")


def openssl(folder, *arguments):
    subprocess.run(["openssl"] + list(arguments), cwd=folder, check=True, capture_output=True, timeout=30)


class Authority:
    """A CA in a folder, and the leaf certificates it signs."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.name = name
        openssl(folder, "req", "-x509", "-newkey", "ec", *CURVE, "-nodes", "-days", "2",
                "-subj", "/CN=Test " + name, "-keyout", name + ".key", "-out", name + ".pem")

    @property
    def certificate(self):
        return os.path.join(self.folder, self.name + ".pem")

    def issue(self, name, subject="localhost", names="DNS:localhost,IP:127.0.0.1", days=2):
        """A leaf: (certificate path, key path). Without `names` it has a common name only; `days` below 0: expired."""
        with open(os.path.join(self.folder, name + ".ext"), "w") as file:
            file.write("subjectAltName=%s\n" % names if names else "basicConstraints=CA:FALSE\n")
        openssl(self.folder, "req", "-newkey", "ec", *CURVE, "-nodes",
                "-subj", "/CN=" + subject, "-keyout", name + ".key", "-out", name + ".csr")
        openssl(self.folder, "x509", "-req", "-in", name + ".csr", "-out", name + ".pem", "-days", str(days),
                "-CA", self.name + ".pem", "-CAkey", self.name + ".key", "-CAcreateserial", "-extfile", name + ".ext")
        os.chmod(os.path.join(self.folder, name + ".key"), 0o600)
        return os.path.join(self.folder, name + ".pem"), os.path.join(self.folder, name + ".key")


def server_context(certificate, key, clients=None, newest=None):
    """A server's TLS context; `clients` is the CA that clients must be signed by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    if newest:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.maximum_version = newest
    return context
