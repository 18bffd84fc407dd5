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

    def issue(self, name, subject="localhost", names="DNS:localhost,IP:127.0.0.1", days=2, usage=None, start=None):
        """A leaf: (certificate path, key path). Without `names` it has a common name only; `days` below 0: expired;
        `usage` is its extended key usage, `start` when it begins to be valid (20990101000000Z)."""
        with open(os.path.join(self.folder, name + ".ext"), "w") as file:
            file.write("subjectAltName=%s\n" % names if names else "basicConstraints=CA:FALSE\n")
            file.write("extendedKeyUsage=%s\n" % usage if usage else "")
        openssl(self.folder, "req", "-newkey", "ec", *CURVE, "-nodes",
                "-subj", "/CN=" + subject, "-keyout", name + ".key", "-out", name + ".csr")
        if start:
            self.ca("-batch", "-notext", "-in", name + ".csr", "-out", name + ".pem", "-startdate", start,
                    "-enddate", "2" + "1" + start[2:], "-extfile", name + ".ext")
        else:
            openssl(self.folder, "x509", "-req", "-in", name + ".csr", "-out", name + ".pem", "-days", str(days),
                    "-CA", self.name + ".pem", "-CAkey", self.name + ".key", "-CAcreateserial",
                    "-extfile", name + ".ext")
        os.chmod(os.path.join(self.folder, name + ".key"), 0o600)
        return os.path.join(self.folder, name + ".pem"), os.path.join(self.folder, name + ".key")

    def context(self, pair=None):
        """A client that trusts this authority alone, and shows the certificate of `pair`."""
        made = ssl.create_default_context(cafile=self.certificate)
        if pair:
            made.load_cert_chain(*pair)
        return made

    def ca(self, *arguments):
        """The program's own register of what an authority has signed."""
        config = os.path.join(self.folder, self.name + ".cnf")
        if not os.path.exists(config):
            with open(config, "w") as file:
                file.write("[ca]\ndefault_ca=d\n[d]\ndatabase=%(n)s.db\nnew_certs_dir=.\nrand_serial=yes\n"
                           "default_md=sha256\npolicy=p\ncertificate=%(n)s.pem\nprivate_key=%(n)s.key\n"
                           "default_crl_days=2\nunique_subject=no\n[p]\ncommonName=supplied\n" % {"n": self.name})
            open(os.path.join(self.folder, self.name + ".db"), "w").close()
        openssl(self.folder, "ca", "-config", config, *arguments)

    def revoke(self, *certificates):
        """The path of the authority's revocation list, with these on it, too."""
        for certificate in certificates:
            self.ca("-revoke", certificate)
        self.ca("-gencrl", "-out", self.name + ".crl")
        return os.path.join(self.folder, self.name + ".crl")


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
