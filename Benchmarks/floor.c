/* The bare cost of one cycle of the inputs cpu, mem, disk, net and system: the same kernel files read and thrown
 * away, no parsing, no formatting, no sending. What an agent costs is told as a multiple of this.
 *
 *   cc -O2 -o floor floor.c && ./floor -n CYCLES -i MILLISECONDS [-a]
 *
 * With -a all inputs that need no program: also diskstats, vmstat, entropy, the protocol counters, the state of each
 * process, and the sockets (kept: one dump of sock_diag; opened: the tables of /proc).
 * Two ways are timed in turn: `kept` reads through descriptors that stay open, `opened` opens, reads and closes as
 * most programs do. Prints one JSON object: microseconds of CPU (user + system) a cycle, median and mean of each.
 * The pause between cycles matters: a cycle that follows at once finds warm caches that an agent never sees. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { MOST_MOUNTS = 256, MOST_CYCLES = 100000 };

static const char *const sources[] = {
    "/proc/stat",   "/proc/meminfo", "/proc/net/dev", "/proc/loadavg",
    "/proc/uptime", "/run/utmp",     "/proc/self/mountinfo",
};
enum { SOURCES = sizeof sources / sizeof *sources };

/* What the other inputs read. */
static const char *const more_sources[] = {
    "/proc/diskstats",   "/proc/vmstat",   "/proc/sys/kernel/random/entropy_avail",
    "/proc/net/netstat", "/proc/net/snmp", "/proc/net/snmp6", "/proc/net/unix",
};
enum { MORE_SOURCES = sizeof more_sources / sizeof *more_sources, MOST_PROCESSES = 4096 };
static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"};
static int has_all;

static char buffer[1 << 16];
static char mounts[MOST_MOUNTS][256];
static int mount_count;

static double cpu_microseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* The mount points that an agent asks for their space: every one whose source is a path or that can hold files. */
static void find_mounts(void) {
    FILE *file = fopen("/proc/self/mountinfo", "r");
    char line[4096], point[256], kind[64];
    while (file && mount_count < MOST_MOUNTS && fgets(line, sizeof line, file)) {
        char *tail = strstr(line, " - ");
        if (!tail || sscanf(line, "%*d %*d %*s %*s %255s", point) != 1 || sscanf(tail, " - %63s", kind) != 1) continue;
        struct statvfs space;
        if (strcmp(kind, "autofs") != 0 && statvfs(point, &space) == 0 && space.f_blocks > 0)
            strcpy(mounts[mount_count++], point);
    }
    if (file) fclose(file);
}

static void read_all(int descriptor) {
    off_t offset = 0;
    ssize_t count;
    while ((count = pread(descriptor, buffer, sizeof buffer, offset)) > 0) {
        offset += count;
        if (count < (ssize_t)sizeof buffer) break;
    }
}

static void space_of_mounts(void) {
    struct statvfs space;
    for (int index = 0; index < mount_count; index++) statvfs(mounts[index], &space);
}

/* Calls `each` with the number of every process. */
static void walk_processes(void (*each)(int folder, const char *name)) {
    static DIR *folder;
    if (!folder) folder = opendir("/proc");
    if (!folder) return;
    rewinddir(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') each(dirfd(folder), entry->d_name);
}

static void stat_kept(int folder, const char *name) {
    static struct { int number, descriptor; } known[MOST_PROCESSES];
    char path[300];
    int number = atoi(name), at = number % MOST_PROCESSES;
    if (known[at].number != number) {
        if (known[at].number) close(known[at].descriptor);
        snprintf(path, sizeof path, "%s/stat", name);
        known[at].number = number;
        known[at].descriptor = openat(folder, path, O_RDONLY | O_CLOEXEC);
    }
    if (pread(known[at].descriptor, buffer, 1024, 0) < 0) {
        close(known[at].descriptor);
        known[at].number = 0;
    }
}

static void stat_opened(int folder, const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/stat", name);
    int descriptor = openat(folder, path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    if (read(descriptor, buffer, 1024) < 0) buffer[0] = 0;
    close(descriptor);
}

/* One dump; for TCP the older request, which answers for both address families in one walk. */
static void dump_sockets(int family, int protocol) {
    static int diag = -1;
    if (diag < 0) diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    struct { struct nlmsghdr head; union { struct inet_diag_req old; struct inet_diag_req_v2 new; }; } request;
    memset(&request, 0, sizeof request);
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    if (protocol == IPPROTO_TCP) {
        request.head.nlmsg_type = TCPDIAG_GETSOCK;
        request.head.nlmsg_len = NLMSG_LENGTH(sizeof request.old);
        request.old.idiag_family = (unsigned char)family;
        request.old.idiag_states = 0xfff;
    } else {
        request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
        request.head.nlmsg_len = NLMSG_LENGTH(sizeof request.new);
        request.new.sdiag_family = (unsigned char)family;
        request.new.sdiag_protocol = (unsigned char)protocol;
        request.new.idiag_states = 0xfff;
    }
    if (send(diag, &request, request.head.nlmsg_len, 0) < 0) return;
    for (;;) {
        ssize_t count = recv(diag, buffer, sizeof buffer, 0);
        if (count <= 0) return;
        for (struct nlmsghdr *head = (void *)buffer; NLMSG_OK(head, count); head = NLMSG_NEXT(head, count))
            if (head->nlmsg_type == NLMSG_DONE || head->nlmsg_type == NLMSG_ERROR) return;
    }
}

static void read_opened(const char *const *paths, int count) {
    for (int index = 0; index < count; index++) {
        int descriptor = open(paths[index], O_RDONLY | O_CLOEXEC);
        if (descriptor < 0) continue;
        read_all(descriptor);
        close(descriptor);
    }
}

static void more_kept(void) {
    static int descriptors[MORE_SOURCES];
    for (int index = 0; index < MORE_SOURCES; index++) {
        if (descriptors[index] == 0) descriptors[index] = open(more_sources[index], O_RDONLY | O_CLOEXEC);
        if (descriptors[index] > 0) read_all(descriptors[index]);
    }
    walk_processes(stat_kept);
    dump_sockets(AF_INET, IPPROTO_TCP);
    dump_sockets(AF_INET, IPPROTO_UDP);
    dump_sockets(AF_INET6, IPPROTO_UDP);
}

static void more_opened(void) {
    read_opened(more_sources, MORE_SOURCES);
    walk_processes(stat_opened);
    read_opened(tables, sizeof tables / sizeof *tables);
}

static void cycle_kept(void) {
    static int descriptors[SOURCES];
    for (int index = 0; index < SOURCES; index++) {
        if (descriptors[index] == 0) descriptors[index] = open(sources[index], O_RDONLY | O_CLOEXEC);
        if (descriptors[index] > 0) read_all(descriptors[index]);
    }
    space_of_mounts();
    if (has_all) more_kept();
}

static void cycle_opened(void) {
    read_opened(sources, SOURCES);
    space_of_mounts();
    if (has_all) more_opened();
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print_row(const char *name, double *times, int count, const char *end) {
    double sum = 0;
    for (int index = 0; index < count; index++) sum += times[index];
    qsort(times, (size_t)count, sizeof *times, ascending);
    printf("\"%s\":{\"median_us\":%.2f,\"mean_us\":%.2f}%s", name, times[count / 2], sum / count, end);
}

int main(int argc, char **argv) {
    int cycles = 60, pause = 1000, option;
    while ((option = getopt(argc, argv, "n:i:a")) > 0) {
        if (option == 'n') cycles = atoi(optarg);
        else if (option == 'i') pause = atoi(optarg);
        else if (option == 'a') has_all = 1;
        else return 64;
    }
    if (cycles < 1 || cycles > MOST_CYCLES || pause < 0) return 64;
    double *kept = calloc((size_t)cycles, sizeof *kept), *opened = calloc((size_t)cycles, sizeof *opened);
    if (!kept || !opened) return 70;
    find_mounts();
    cycle_kept();
    cycle_opened();
    for (int index = 0; index < cycles; index++) {
        /* Each way gets a pause of its own before it, so that neither finds what the other warmed. */
        usleep((useconds_t)pause * 500);
        double begun = cpu_microseconds();
        cycle_kept();
        kept[index] = cpu_microseconds() - begun;
        usleep((useconds_t)pause * 500);
        begun = cpu_microseconds();
        cycle_opened();
        opened[index] = cpu_microseconds() - begun;
    }
    printf("{\"cycles\":%d,\"mounts\":%d,", cycles, mount_count);
    print_row("kept", kept, cycles, ",");
    print_row("opened", opened, cycles, "}\n");
    return 0;
}
