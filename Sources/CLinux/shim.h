#ifndef GODWIT_CLINUX_SHIM_H
#define GODWIT_CLINUX_SHIM_H
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/falloc.h>
#include <net/if.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <malloc.h>

#include <pthread.h>
extern int pthread_setname_np(pthread_t thread, const char *name);
extern int pipe2(int pipefd[2], int flags);
extern int dup3(int oldfd, int newfd, int flags);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int fallocate(int fd, int mode, off_t offset, off_t len);

extern int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
// A connection that does not block and that no program inherits.
static inline int godwit_accept(int fd) { return accept4(fd, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK); }

static inline int godwit_open(const char *path, int flags, unsigned mode) { return open(path, flags, mode); }

// A descriptor that can be read once the process has ended; -1 on kernels before 5.3.
static inline int godwit_pidfd_open(int pid) { return (int)syscall(434 /* SYS_pidfd_open */, pid, 0); }

// The calling thread enters a network namespace. 0 on success.
static inline int godwit_enter_network(int fd) { return (int)syscall(SYS_setns, fd, 0x40000000 /* CLONE_NEWNET */); }

// SO_PEERCRED: who is at the other end of a unix socket. 0 on success.
struct godwit_ucred { int32_t pid; uint32_t uid; uint32_t gid; };
static inline int godwit_peer_credentials(int fd, struct godwit_ucred *out) {
    struct godwit_ucred c;
    socklen_t n = sizeof c;
    if (getsockopt(fd, SOL_SOCKET, 17 /* SO_PEERCRED */, &c, &n) != 0) return -1;
    *out = c;
    return 0;
}
#endif
