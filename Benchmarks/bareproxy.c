/* The barest scrape proxy: the exchanges of fleet.c without anything that makes a proxy safe. No limits, no timers, no
 * reading of headers but a length and an id, no table but an array. What a scrape costs at least: the kernel's work and
 * one copy. What a real proxy costs is told as a multiple of this.
 *
 *   cc -O2 -o bareproxy bareproxy.c && ./bareproxy [-t SECONDS]      prints its port */
#include "exchange.h"

enum { MOST = 200000 };
static struct connection *polls[MOST], *scrapers[MOST], *waiting[MOST];

static struct connection *begin(int fd) {
    struct connection *each = calloc(1, sizeof *each);
    if (!each) die("calloc");
    each->fd = fd;
    watch(each, EPOLL_CTL_ADD, 0);
    return each;
}

static void answer(struct connection *each, int length) {
    each->head_length = (size_t)length;
    each->body_length = each->sent = 0;
    flush(each);
}

/* Gives a poll the scrape as it came, with an id behind its first line. */
static void hand_out(struct connection *poll, struct connection *scraper) {
    char *first = strstr(scraper->in, "\r\n");
    int line = (int)(first - scraper->in), rest = (int)(scraper->whole - (size_t)line);
    char id[32];
    int id_length = snprintf(id, sizeof id, "\r\nId: %d", scraper->fd);
    scrapers[scraper->fd] = scraper;
    answer(poll, snprintf(poll->head, HEAD,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%.*s%s%.*s",
        line + id_length + rest, line, scraper->in, id, rest, first));
    consume(scraper);
}

static void take(struct connection *each) {
    char *text = each->in;
    if (strncmp(text, "GET http://c", 12) == 0) {
        int client = atoi(text + 12);
        struct connection *poll = polls[client];
        polls[client] = NULL;
        if (poll) hand_out(poll, each);
        else waiting[client] = each;
    } else if (strncmp(text, "POST /poll", 10) == 0) {
        int client = atoi(text + each->in_head + 1);
        struct connection *scraper = waiting[client];
        consume(each);
        waiting[client] = NULL;
        if (scraper) hand_out(each, scraper);
        else polls[client] = each;
    } else {
        char *inner = text + each->in_head, *id = strstr(inner, "\r\nId: ");
        struct connection *scraper = id ? scrapers[atoi(id + 6)] : NULL;
        if (!scraper) exit(70);
        /* Head and body as they came; what the kernel does not take at once is waited for. */
        size_t length = each->whole - each->in_head;
        scraper->head_length = scraper->sent = 0;
        scraper->body = inner;
        scraper->body_length = length;
        while (flush(scraper) && scraper->sent < length) usleep(50);
        if (scraper->wants_write) watch(scraper, EPOLL_CTL_MOD, 0);
        consume(each);
        answer(each, snprintf(each->head, HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    }
}

int main(int argc, char **argv) {
    int option, one = 1;
    double end = now() + 600;
    while ((option = getopt(argc, argv, "t:")) > 0)
        if (option == 't') end = now() + atof(optarg);
    raise_descriptors();
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (void *)&address, size) != 0 || listen(listener, 4096) != 0) die("listen");
    getsockname(listener, (void *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct connection *first = begin(listener);
    while (now() < end) {
        struct epoll_event events[512];
        int count = epoll_wait(poller, events, 512, 1000);
        for (int index = 0; index < count; index++) {
            struct connection *each = events[index].data.ptr;
            if (each == first) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    if (fd >= MOST) die("descriptors");
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    begin(fd);
                }
                continue;
            }
            if (events[index].events & EPOLLOUT) flush(each);
            int found = receive(each);
            if (found > 0) take(each);
            if (found >= 0) continue;
            for (int client = 0; client < MOST; client++) {
                if (polls[client] == each) polls[client] = NULL;
                if (waiting[client] == each) waiting[client] = NULL;
            }
            /* Not freed: an event of this turn may still name it. */
            drop(each);
        }
    }
    return 0;
}
