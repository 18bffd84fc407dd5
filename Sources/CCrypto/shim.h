// libcrypto and libssl, which libssh2 and libcurl load anyway: keys, signatures, digests, TLS of our listeners. BIO_get_mem_data and the like are macros.
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
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// Function-like macros, which Swift does not see.
static inline long godwit_ssl_set_min_version(SSL_CTX *c, int v) { return SSL_CTX_set_min_proto_version(c, v); }
static inline long godwit_ssl_set_mode(SSL_CTX *c, long m) { return SSL_CTX_set_mode(c, m); }
static inline long godwit_ssl_cache_off(SSL_CTX *c) { return SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF); }
static inline int godwit_err_reason(unsigned long e) { return ERR_GET_REASON(e); }
static inline void godwit_ssl_free_string(void *s) { OPENSSL_free(s); }
#endif
