/* The bare cost of one cycle of the inputs cpu, mem, disk, net and system: the same kernel files read and thrown
 * away, no parsing, no formatting, no sending. What an agent costs is told as a multiple of this.
 *
 *   cc -O2 -o floor floor.c && ./floor -n CYCLES -i MILLISECONDS
 *
 * Two ways are timed in turn: `kept` reads through descriptors that stay open, `opened` opens, reads and closes as
 * most programs do. Prints one JSON object: microseconds of CPU (user + system) a cycle, median and mean of each.
 * The pause between cycles matters: a cycle that follows at once finds warm caches that an agent never sees. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { MOST_MOUNTS = 256, MOST_CYCLES = 100000 };

static const char *const sources[] = {
    "/proc/stat",   "/proc/meminfo", "/proc/net/dev", "/proc/loadavg",
    "/proc/uptime", "/run/utmp",     "/proc/self/mountinfo",
};
enum { SOURCES = sizeof sources / sizeof *sources };

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

static void cycle_kept(void) {
    static int descriptors[SOURCES];
    for (int index = 0; index < SOURCES; index++) {
        if (descriptors[index] == 0) descriptors[index] = open(sources[index], O_RDONLY | O_CLOEXEC);
        if (descriptors[index] > 0) read_all(descriptors[index]);
    }
    space_of_mounts();
}

static void cycle_opened(void) {
    for (int index = 0; index < SOURCES; index++) {
        int descriptor = open(sources[index], O_RDONLY | O_CLOEXEC);
        if (descriptor < 0) continue;
        read_all(descriptor);
        close(descriptor);
    }
    space_of_mounts();
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
    while ((option = getopt(argc, argv, "n:i:")) > 0) {
        if (option == 'n') cycles = atoi(optarg);
        else if (option == 'i') pause = atoi(optarg);
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
