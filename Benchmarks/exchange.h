/* Connections of fleet.c and bareproxy.c: what is to go out, what has come in, one epoll for all. */
#ifndef EXCHANGE_H
#define EXCHANGE_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 1024 };

struct connection {
    int fd, kind, client;
    int connecting, busy, wants_write;
    uint64_t serial;
    double began;
    /* Going out: a head of ours and a body of somebody else's. */
    char head[HEAD];
    size_t head_length, sent;
    const char *body;
    size_t body_length;
    /* Coming in: `whole` bytes make the message, 0 while its head has not come. */
    char *in;
    size_t in_length, in_size, in_head, whole;
};

static int poller = -1;

static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(70);
}

static inline int ascending(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

/* As many descriptors as the kernel lets root have, or the hard limit. */
static inline void raise_descriptors(void) {
    struct rlimit wanted = {200000, 200000}, had;
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0 || getrlimit(RLIMIT_NOFILE, &had) != 0) return;
    had.rlim_cur = had.rlim_max;
    setrlimit(RLIMIT_NOFILE, &had);
}

static inline void watch(struct connection *each, int operation, int wants_write) {
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = each};
    each->wants_write = wants_write;
    if (epoll_ctl(poller, operation, each->fd, &event) != 0) die("epoll_ctl");
}

static inline void drop(struct connection *each) {
    if (each->fd >= 0) close(each->fd);
    free(each->in);
    each->in = NULL;
    each->fd = -1;
    each->in_length = each->in_size = each->whole = each->head_length = each->body_length = each->sent = 0;
    each->connecting = each->busy = 0;
}

/* Sends what is left. 0: broken. */
static inline int flush(struct connection *each) {
    while (!each->connecting && each->sent < each->head_length + each->body_length) {
        size_t behind = each->sent > each->head_length ? each->sent - each->head_length : 0;
        struct iovec parts[2] = {
            {each->head + each->sent, each->sent < each->head_length ? each->head_length - each->sent : 0},
            {(char *)each->body + behind, each->body_length - behind}};
        struct msghdr message = {.msg_iov = parts[0].iov_len ? parts : parts + 1, .msg_iovlen = parts[0].iov_len ? 2 : 1};
        ssize_t count = sendmsg(each->fd, &message, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) return 0;
        if (count < 0) break;
        each->sent += (size_t)count;
    }
    int wants = each->connecting || each->sent < each->head_length + each->body_length;
    if (wants != each->wants_write) watch(each, EPOLL_CTL_MOD, wants);
    return 1;
}

/* The end of a head, and how long head and body are; 0 while it has not come. */
static inline void measure(struct connection *each) {
    char *end = memmem(each->in, each->in_length, "\r\n\r\n", 4);
    if (!end) return;
    each->in_head = (size_t)(end - each->in) + 4;
    size_t length = 0;
    for (char *line = each->in; line < end; line = (char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1)
        if (strncasecmp(line, "content-length:", 15) == 0) length = strtoul(line + 15, NULL, 10);
    each->whole = each->in_head + length;
}

/* Reads what there is, at most a message and what follows it. 1: a whole message; 0: not yet; -1: the end. */
static inline int receive(struct connection *each) {
    for (;;) {
        if (each->whole && each->in_length >= each->whole) return 1;
        size_t wanted = each->whole ? each->whole : each->in_length + 1024;
        if (wanted + 1 > each->in_size) {
            each->in = realloc(each->in, each->in_size = wanted + 1);
            if (!each->in) die("realloc");
        }
        ssize_t count = recv(each->fd, each->in + each->in_length, each->in_size - 1 - each->in_length, 0);
        if (count == 0 || (count < 0 && errno != EAGAIN)) return -1;
        if (count < 0) return 0;
        each->in_length += (size_t)count;
        each->in[each->in_length] = 0;
        if (!each->whole) measure(each);
    }
}

/* The message has been used; what came behind it stays. */
static inline void consume(struct connection *each) {
    each->in_length -= each->whole;
    memmove(each->in, each->in + each->whole, each->in_length);
    each->whole = 0;
    if (each->in_length) measure(each);
}
#endif
