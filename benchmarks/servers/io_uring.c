/* What io_uring would save: the same sends, and the same reads and writes, with one system call each and in batches.
 *
 *     cc -O2 -o build/benchmarks/io-uring benchmarks/servers/io_uring.c && build/benchmarks/io-uring
 *
 * The program holds both ends of CONNECTIONS loopback connections. It measures the CPU time (user and system) of the
 * thread while it sends a frame to all of them (a broadcast), and while it reads and answers a frame on 50 of them
 * (events, one in flight). Both ways take turns; the program prints the median of the rounds per frame.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 500, ACTIVE = 50, FRAME = 96, ROUNDS = 401, ENTRIES = 1024 };

static int server[CONNECTIONS], client[CONNECTIONS];
static char frame[FRAME], input[CONNECTIONS][4096];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double cpu_microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void connect_all(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 512)) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    for (int i = 0; i < CONNECTIONS; i++) {
        client[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client[i], (struct sockaddr *)&address, sizeof address)) fail("connect");
        server[i] = accept(listener, NULL, NULL);
        setsockopt(client[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(server[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
}

/* -- the ring, without liburing */

static int ring;
static _Atomic unsigned *sq_tail, *cq_head, *cq_tail;
static unsigned *sq_array, sq_mask, cq_mask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static unsigned queued;

static int open_ring(void) {
    struct io_uring_params given = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &given);
    if (ring < 0) return -1;
    size_t sq_size = given.sq_off.array + given.sq_entries * sizeof(unsigned);
    size_t cq_size = given.cq_off.cqes + given.cq_entries * sizeof(struct io_uring_cqe);
    size_t size = sq_size > cq_size ? sq_size : cq_size;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    sqes = mmap(NULL, given.sq_entries * sizeof *sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
                IORING_OFF_SQES);
    if (at == MAP_FAILED || sqes == MAP_FAILED) fail("mmap");
    sq_tail = (_Atomic unsigned *)(at + given.sq_off.tail);
    sq_mask = *(unsigned *)(at + given.sq_off.ring_mask);
    sq_array = (unsigned *)(at + given.sq_off.array);
    cq_head = (_Atomic unsigned *)(at + given.cq_off.head);
    cq_tail = (_Atomic unsigned *)(at + given.cq_off.tail);
    cq_mask = *(unsigned *)(at + given.cq_off.ring_mask);
    cqes = (struct io_uring_cqe *)(at + given.cq_off.cqes);
    return 0;
}

static void queue(uint8_t operation, int fd, void *data, unsigned size) {
    unsigned tail = atomic_load_explicit(sq_tail, memory_order_relaxed), slot = tail & sq_mask;
    struct io_uring_sqe *entry = &sqes[slot];
    memset(entry, 0, sizeof *entry);
    entry->opcode = operation;
    entry->fd = fd;
    entry->addr = (uint64_t)(uintptr_t)data;
    entry->len = size;
    sq_array[slot] = slot;
    atomic_store_explicit(sq_tail, tail + 1, memory_order_release);
    queued++;
}

static void submit(void) {
    unsigned count = queued;
    if (syscall(SYS_io_uring_enter, ring, count, count, IORING_ENTER_GETEVENTS, NULL, 0) < 0) fail("io_uring_enter");
    unsigned head = atomic_load_explicit(cq_head, memory_order_relaxed);
    while (head != atomic_load_explicit(cq_tail, memory_order_acquire)) {
        if (cqes[head & cq_mask].res <= 0) fail("an operation of io_uring failed");
        head++;
        queued--;
    }
    atomic_store_explicit(cq_head, head, memory_order_release);
    if (queued != 0) fail("operations of io_uring are missing");
}

/* -- the two loads; each returns the microseconds per frame */

static void read_clients(int count) {
    for (int i = 0; i < count; i++)
        if (read(client[i], input[i], sizeof input[i]) <= 0) fail("read");
}

static double broadcast(int with_ring) {
    double began = cpu_microseconds();
    for (int i = 0; i < CONNECTIONS; i++) {
        if (with_ring)
            queue(IORING_OP_SEND, server[i], frame, FRAME);
        else if (send(server[i], frame, FRAME, 0) != FRAME)
            fail("send");
    }
    if (with_ring) submit();
    double took = cpu_microseconds() - began;
    read_clients(CONNECTIONS);
    return took / CONNECTIONS;
}

static double answer(int with_ring, int selector) {
    struct epoll_event events[ACTIVE];
    for (int i = 0; i < ACTIVE; i++)
        if (write(client[i], frame, FRAME) != FRAME) fail("write");
    double began = cpu_microseconds();
    if (with_ring) {
        for (int i = 0; i < ACTIVE; i++) queue(IORING_OP_RECV, server[i], input[i], sizeof input[i]);
        submit();
        for (int i = 0; i < ACTIVE; i++) queue(IORING_OP_SEND, server[i], frame, FRAME);
        submit();
    } else {
        int ready = epoll_wait(selector, events, ACTIVE, 0);
        for (int i = 0; i < ready; i++) {
            int number = (int)events[i].data.u32;
            if (read(server[number], input[number], sizeof input[number]) <= 0) fail("read");
            if (write(server[number], frame, FRAME) != FRAME) fail("write");
        }
    }
    double took = cpu_microseconds() - began;
    read_clients(ACTIVE);
    return took / ACTIVE;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof *values, ascending);
    return values[ROUNDS / 2];
}

int main(void) {
    static double sent[2][ROUNDS], answered[2][ROUNDS];
    int selector = epoll_create1(0);
    connect_all();
    if (open_ring()) fail("io_uring is not available");
    for (int i = 0; i < ACTIVE; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(selector, EPOLL_CTL_ADD, server[i], &event);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int with_ring = 0; with_ring < 2; with_ring++) {
            sent[with_ring][round] = broadcast(with_ring);
            answered[with_ring][round] = answer(with_ring, selector);
        }
    }
    printf("broadcast to %d, per frame: %.2f us with send, %.2f us with io_uring\n", CONNECTIONS, median(sent[0]),
           median(sent[1]));
    printf("read and answer on %d connections, per frame: %.2f us with epoll, %.2f us with io_uring\n", ACTIVE,
           median(answered[0]), median(answered[1]));
    return 0;
}
