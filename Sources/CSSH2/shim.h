// libssh2: types, constants and functions; its convenience macros are not imported, so the `_ex` functions are called.
#ifndef GODWIT_CSSH2_SHIM_H
#define GODWIT_CSSH2_SHIM_H
#include <libssh2.h>
#endif
