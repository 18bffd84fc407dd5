// libcrypto, which libssh2 loads anyway: keys, signatures, digests. BIO_get_mem_data and the like are macros.
#ifndef GODWIT_CCRYPTO_SHIM_H
#define GODWIT_CCRYPTO_SHIM_H
// Blowfish is marked as old, but the format of OpenSSH's encrypted keys is made of it.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bio.h>
#include <openssl/blowfish.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#endif
