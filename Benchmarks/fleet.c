/* Clients and scrapers of a scrape proxy, as many as wanted, in one thread: each client hangs in a poll and pushes what
 * it is asked for over a second connection that it keeps, as the original does; each scraper keeps one connection.
 *
 *   cc -O2 -o fleet fleet.c && ./fleet -p PORT [-q PORT of the scrapers] -n CLIENTS -b BYTES [-k PUSHES] [-t SECONDS]
 *
 * -k: so many connections for pushes, shared by the clients; without it each has its own.
 *
 * Polls at once with all clients, says {"polls":N}, then does what lines on the standard input say:
 *   scrape CONNECTIONS RATE SECONDS   rate 0: each connection asks again as soon as it was answered; else so many a
 *                                     second in all, and waiting for a free connection counts as latency
 *   unknown CONNECTIONS COUNT         names that nobody polls under, so many in all
 * and prints one JSON object for each. At the end of the input, or after SECONDS, everything is closed.
 * Bodies differ from scrape to scrape and every byte is compared. Loopback only; sources are 127.0.1.x. */
#include "exchange.h"

enum { POLL, PUSH, SCRAPE, TURNS = 4096, MOST_SAMPLES = 4000000 };

static int poll_port, scrape_port, client_count, push_count, scraper_count;
static size_t body_bytes = 20000;
static char *pattern;
static struct connection *polls, *pushes, *scrapers;
/* What a client was asked for while its connection for pushes was busy, and which client waits behind it (-1: none). */
static struct parked { char *instruction; int next; } *parked;
static float *latencies;
static size_t samples;
static uint64_t serial;
static long failures, wrong, reconnects, open_scrapes, left_unknown, wanted_status = 200, is_running;
static double rate, next_due, end_of_run, hard_end;

static void connect_to(struct connection *each, int kind, int client, int port) {
    static unsigned source;
    int one = 1;
    each->kind = kind;
    each->client = client;
    each->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (each->fd < 0) die("socket");
    setsockopt(each->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(each->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    /* Thousands of connections to one port: each source address has its own range of ports. */
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101 + source++ % 32)};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(each->fd, (void *)&from, sizeof from) != 0) die("bind");
    if (connect(each->fd, (void *)&to, sizeof to) != 0 && errno != EINPROGRESS) die("connect");
    each->connecting = 1;
    watch(each, EPOLL_CTL_ADD, 1);
}

static void send_head(struct connection *each, int length) {
    if (length < 0 || length >= HEAD) die("a head is too long");
    each->head_length = (size_t)length;
    each->sent = 0;
    each->busy = 1;
    flush(each);
}

static void send_poll(struct connection *each) {
    char name[64];
    int length = snprintf(name, sizeof name, "c%d.example.test", each->client);
    send_head(each, snprintf(each->head, HEAD,
        "POST /poll HTTP/1.1\r\nHost: proxy.example:8080\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\n"
        "Content-Type: \r\nAccept-Encoding: gzip\r\n\r\n%s", length, name));
}

/* Brings what the instruction asks for: `id` ends with its line. */
static void send_push(struct connection *each, const char *instruction) {
    const char *id = strstr(instruction, "\r\nId: "), *number = strstr(instruction, "?n=");
    if (!id || !number) {
        failures++;
        return;
    }
    char inner[HEAD / 2];
    int inner_length = snprintf(inner, sizeof inner,
        "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\nId: %.*s\r\nX-Prometheus-Scrape-Timeout: 9.412345\r\n\r\n",
        body_bytes, (int)strcspn(id + 6, "\r\n"), id + 6);
    each->body = pattern + strtoull(number + 3, NULL, 10) % TURNS;
    each->body_length = body_bytes;
    if (each->fd < 0) connect_to(each, PUSH, each->client, poll_port);
    send_head(each, snprintf(each->head, HEAD,
        "POST /push HTTP/1.1\r\nHost: proxy.example:8080\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %zu\r\n"
        "Accept-Encoding: gzip\r\n\r\n%s", (size_t)inner_length + body_bytes, inner));
}

static void send_scrape(struct connection *each, double began) {
    uint64_t number = ++serial;
    char name[64];
    if (wanted_status == 200)
        snprintf(name, sizeof name, "c%llu.example.test", (unsigned long long)(number * 7919 % (uint64_t)client_count));
    else
        snprintf(name, sizeof name, "u%llu.nobody.test", (unsigned long long)number);
    each->serial = number;
    each->began = began;
    open_scrapes++;
    if (each->fd < 0) connect_to(each, SCRAPE, 0, scrape_port);
    send_head(each, snprintf(each->head, HEAD,
        "GET http://%s:9100/metrics?n=%llu HTTP/1.1\r\nHost: %s:9100\r\nUser-Agent: Prometheus/2.42.0\r\n"
        "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n"
        "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n", name, (unsigned long long)number, name));
}

/* Gives idle scrapers what is due. */
static void give_work(double time) {
    if (!is_running || time >= end_of_run) return;
    for (int index = 0; index < scraper_count; index++) {
        if (scrapers[index].busy) continue;
        if (wanted_status != 200 && left_unknown-- <= 0) return;
        if (rate > 0 && next_due > time) return;
        send_scrape(&scrapers[index], rate > 0 ? next_due : time);
        if (rate > 0) next_due += 1 / rate;
    }
}

static void took_scrape(struct connection *each) {
    int status = atoi(each->in + 9);
    open_scrapes--;
    each->busy = 0;
    if (status != wanted_status) failures++;
    else if (status == 200 && (each->whole - each->in_head != body_bytes
        || memcmp(each->in + each->in_head, pattern + each->serial % TURNS, body_bytes) != 0)) wrong++;
    else if (samples < MOST_SAMPLES) latencies[samples++] = (float)(now() - each->began);
}

static void took_message(struct connection *each) {
    each->in[each->in_length] = 0;
    if (each->kind == SCRAPE) took_scrape(each);
    else if (each->kind == PUSH) {
        each->busy = 0;
        if (atoi(each->in + 9) != 200) failures++;
        int client = each->client;
        if (client >= 0) {
            each->client = parked[client].next;
            send_push(each, parked[client].instruction);
            free(parked[client].instruction);
            send_poll(&polls[client]);
        }
    } else if (atoi(each->in + 9) != 200) {
        failures++;
        send_poll(each);
    } else if (pushes[each->client % push_count].busy) {
        /* One push at a time: it polls again when this one can go. */
        struct connection *push = &pushes[each->client % push_count];
        parked[each->client] = (struct parked){strdup(each->in + each->in_head), push->client};
        push->client = each->client;
    } else {
        send_push(&pushes[each->client % push_count], each->in + each->in_head);
        send_poll(each);
    }
    consume(each);
}

static void lost(struct connection *each) {
    if (each->kind == SCRAPE && each->busy) {
        open_scrapes--;
        failures++;
    }
    if (each->kind == PUSH && each->busy) failures++;
    drop(each);
    if (each->kind != POLL) return;
    if (++reconnects > 10L * client_count) die("the proxy ends every poll");
    connect_to(each, POLL, each->client, poll_port);
    send_poll(each);
}

static void turn(int wait_ms) {
    struct epoll_event events[512];
    int count = epoll_wait(poller, events, 512, wait_ms);
    for (int index = 0; index < count; index++) {
        struct connection *each = events[index].data.ptr;
        if (!each || each->fd < 0) continue;
        if (events[index].events & EPOLLOUT) {
            each->connecting = 0;
            if (!flush(each)) {
                lost(each);
                continue;
            }
        }
        if (!(events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
        int found = receive(each);
        if (found < 0) lost(each);
        else if (found > 0) took_message(each);
    }
    if (now() > hard_end) {
        fprintf(stderr, "the time is over\n");
        exit(75);
    }
}

static void report(double seconds) {
    qsort(latencies, samples, sizeof *latencies, ascending);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"scrapes\":%zu,\"failures\":%ld,\"wrong\":%ld,\"reconnects\":%ld,\"seconds\":%.3f,\"p50_ms\":%.3f,"
           "\"p99_ms\":%.3f,\"cpu\":%.3f}\n", samples, failures, wrong, reconnects, seconds,
           samples ? latencies[samples / 2] * 1e3 : 0, samples ? latencies[samples * 99 / 100] * 1e3 : 0,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
               + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    fflush(stdout);
}

static void run(int connections, double wanted_rate, double seconds, long unknown) {
    for (int index = connections; index < scraper_count; index++) drop(&scrapers[index]);
    scrapers = realloc(scrapers, (size_t)connections * sizeof *scrapers);
    if (!scrapers) die("realloc");
    /* epoll knows the old addresses. */
    for (int index = 0; index < connections; index++) {
        if (index >= scraper_count) memset(&scrapers[index], 0, sizeof *scrapers), scrapers[index].fd = -1;
        else drop(&scrapers[index]);
    }
    scraper_count = connections;
    samples = 0;
    failures = wrong = reconnects = open_scrapes = 0;
    left_unknown = unknown;
    wanted_status = unknown ? 404 : 200;
    rate = wanted_rate;
    double began = next_due = now();
    end_of_run = began + seconds;
    is_running = 1;
    while (now() < end_of_run || open_scrapes > 0) {
        give_work(now());
        if (unknown && left_unknown <= 0 && open_scrapes == 0) break;
        turn(rate > 0 ? 1 : 20);
        if (now() > end_of_run + 15) break;
    }
    is_running = 0;
    report(now() - began);
}

int main(int argc, char **argv) {
    int option;
    double limit = 600;
    while ((option = getopt(argc, argv, "p:q:n:b:k:t:")) > 0) {
        if (option == 'p') poll_port = atoi(optarg);
        else if (option == 'q') scrape_port = atoi(optarg);
        else if (option == 'n') client_count = atoi(optarg);
        else if (option == 'b') body_bytes = strtoul(optarg, NULL, 10);
        else if (option == 'k') push_count = atoi(optarg);
        else if (option == 't') limit = atof(optarg);
        else return 64;
    }
    if (!scrape_port) scrape_port = poll_port;
    if (push_count < 1 || push_count > client_count) push_count = client_count;
    if (poll_port < 1 || client_count < 1 || client_count > 100000 || body_bytes > 1 << 20) return 64;
    raise_descriptors();
    hard_end = now() + limit;
    poller = epoll_create1(EPOLL_CLOEXEC);
    pattern = malloc(body_bytes + TURNS);
    polls = calloc((size_t)client_count, sizeof *polls);
    pushes = calloc((size_t)push_count, sizeof *pushes);
    parked = calloc((size_t)client_count, sizeof *parked);
    latencies = malloc(MOST_SAMPLES * sizeof *latencies);
    if (!pattern || !polls || !pushes || !parked || !latencies) die("malloc");
    uint64_t state = 88172645463325252u;
    for (size_t index = 0; index < body_bytes + TURNS; index++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        pattern[index] = (char)('a' + state % 26);
    }
    for (int index = 0; index < push_count; index++) pushes[index].fd = pushes[index].client = -1;
    for (int index = 0; index < client_count; index++) {
        connect_to(&polls[index], POLL, index, poll_port);
        send_poll(&polls[index]);
    }
    for (int left = 1; left > 0;) {
        turn(20);
        left = 0;
        for (int index = 0; index < client_count; index++)
            left += polls[index].connecting || polls[index].sent < polls[index].head_length;
    }
    printf("{\"polls\":%d}\n", client_count);
    fflush(stdout);
    /* Commands come on a descriptor of the same epoll, so that polls are served while there is none. */
    char line[256];
    size_t length = 0;
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &input);
    for (;;) {
        ssize_t count = read(0, line + length, sizeof line - 1 - length);
        if (count == 0) return 0;
        if (count < 0 && errno != EAGAIN) return 70;
        if (count < 0) {
            turn(100);
            continue;
        }
        length += (size_t)count;
        line[length] = 0;
        char *end = strchr(line, '\n');
        if (!end) continue;
        int connections = 0;
        double pace = 0, seconds = 0;
        long unknown = 0;
        epoll_ctl(poller, EPOLL_CTL_DEL, 0, NULL);
        if (sscanf(line, "scrape %d %lf %lf", &connections, &pace, &seconds) == 3) run(connections, pace, seconds, 0);
        else if (sscanf(line, "unknown %d %ld", &connections, &unknown) == 2) run(connections, 0, 300, unknown);
        else return 64;
        epoll_ctl(poller, EPOLL_CTL_ADD, 0, &input);
        length = 0;
    }
}
