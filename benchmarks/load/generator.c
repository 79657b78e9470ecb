/* A load generator that costs less than the servers: precomputed frames over raw sockets, one thread, epoll.
 *
 *     benchmarks/setup-compiled
 *     build/benchmarks/load-generator acks --port P --connections N --batch B --seconds S
 *     build/benchmarks/load-generator idle --port P --connections N
 *     build/benchmarks/load-generator reconnect --port P --connections N --retry MILLISECONDS
 *
 * acks       each connection sends a batch of B events in one write and the next batch after B acks; one second of
 *            warm-up is not counted. A latency is the time from the write to the last ack of the batch.
 * idle       holds connections and answers pings until standard input ends.
 * reconnect  holds connections, and opens each lost one again until all are back; a refused attempt is repeated after
 *            the time of --retry.
 *
 * All modes print "ready COUNT" when all connections have joined the namespace, and one line of JSON at the end. Times
 * are those of CLOCK_MONOTONIC in seconds. Connections use WebSockets and 127.0.0.1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 17, MAX_EVENTS = 512, MAX_LATENCIES = 1 << 22, OPENING = 512 };

typedef enum { WAITING, CONNECTING, HANDSHAKE, JOINING, READY } State;

typedef struct {
    int fd;
    State state;
    int missing;             /* acks of the current batch */
    double sent, due, began; /* of the batch; of the next attempt; of the current attempt */
    size_t kept;             /* bytes of an incomplete head or frame */
    char *rest;
} Client;

static Client *clients;
static int poller, port, count, batch = 8, retry = 25, opening, ready, waiting;
static double seconds = 5;
static bool counts_acks, reconnects, is_measuring;
static char *burst;
static size_t burst_size;
static uint32_t *latencies;
static size_t latency_count;
static uint64_t acks, pings, refused, lost, slow;
static double first_loss, first_back, last_back;

static const char REQUEST[] =
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/* The mask is zero: a valid one, which leaves the text unchanged. */
static const char JOIN[] = "\x81\x82\0\0\0\0" "40";
static const char PONG[] = "\x81\x81\0\0\0\0" "3";

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    fprintf(stderr, "load-generator: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void make_burst(void) {
    burst = malloc((size_t)batch * 160);
    for (int number = 0; number < batch; number++) {
        char text[128];
        int length = sprintf(text, "42%d[\"echo\",{\"id\":417,\"kind\":\"update\",\"done\":false,\"text\":\"the quick\"}]", number);
        char *at = burst + burst_size;
        at[0] = (char)0x81;
        at[1] = (char)(0x80 | length);
        memset(at + 2, 0, 4);
        memcpy(at + 6, text, (size_t)length);
        burst_size += (size_t)length + 6;
    }
}

static void put(Client *client, const char *data, size_t size) {
    /* At most one batch is under way, which the kernel's buffer holds. */
    if (send(client->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size && errno != EPIPE && errno != ECONNRESET)
        fail("a write was incomplete: use a smaller batch");
}

static void send_batch(Client *client, double time) {
    client->sent = time;
    client->missing = batch;
    put(client, burst, burst_size);
}

static void begin(Client *client) {
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)(client - clients)};
    /* Each client has an address of its own, as in a real network. With one address, attempts without a listener get
     * ports of connections in TIME-WAIT; Linux does not refuse these attempts at once, but repeats their SYN. */
    uint32_t number = (uint32_t)(client - clients);
    struct sockaddr_in own = {.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(0x7F010001u + number + number / 250 * 6);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) fail("socket");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(client->fd, (struct sockaddr *)&own, sizeof own) != 0) fail("bind");
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) fail("connect");
    epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event);
    client->state = CONNECTING;
    client->began = now();
    client->kept = 0;
    opening++;
}

static void end(Client *client) {
    double time = now();
    close(client->fd);
    if (client->state == READY) {
        ready--;
        lost++;
        if (lost == 1) first_loss = time;
    } else {
        opening--;
        refused++;
    }
    if (!reconnects) fail("a connection was lost");
    client->state = WAITING;
    waiting++;
    /* Spread over the interval, as clients of a real network are. */
    client->due = time + (double)retry / 1000 * (0.5 + (double)(random() % 1000) / 1000);
}

static void joined(Client *client) {
    client->state = READY;
    opening--;
    ready++;
    last_back = now();
    if (lost > 0 && first_back == 0) first_back = last_back;
    if (last_back - client->began > 0.9) slow++;
    if (is_measuring && counts_acks) send_batch(client, last_back);
}

static void receive_packet(Client *client, const char *text, size_t size) {
    if (size == 1 && text[0] == '2') {
        pings++;
        put(client, PONG, sizeof PONG - 1);
    } else if (client->state == JOINING && size >= 2 && memcmp(text, "40", 2) == 0) {
        joined(client);
    } else if (size >= 2 && memcmp(text, "43", 2) == 0) {
        client->missing--;
    }
}

/* Process the complete frames; return the number of bytes that they occupy. */
static size_t receive_frames(Client *client, const char *data, size_t size) {
    size_t at = 0;
    while (size - at >= 2) {
        size_t length = (uint8_t)data[at + 1], start = at + 2;
        if (length == 126) {
            if (size - at < 4) break;
            length = (size_t)(uint8_t)data[at + 2] << 8 | (uint8_t)data[at + 3];
            start += 2;
        } else if (length > 126) {
            fail("a frame above 64 KiB arrived");
        }
        if (size - start < length || start > size) break;
        if (data[at] == (char)0x81) receive_packet(client, data + start, length);
        at = start + length;
    }
    return at;
}

static void receive(Client *client, bool *is_lost) {
    static char chunk[CHUNK];
    memcpy(chunk, client->rest, client->kept);
    ssize_t got = recv(client->fd, chunk + client->kept, sizeof chunk - client->kept, 0);
    if (got <= 0) {
        *is_lost = got == 0 || errno != EAGAIN;
        return;
    }
    size_t size = client->kept + (size_t)got, used = 0;
    if (client->state == HANDSHAKE) {
        char *stop = memmem(chunk, size, "\r\n\r\n", 4);
        if (stop != NULL) {
            if (memcmp(chunk, "HTTP/1.1 101", 12) != 0) {
                *is_lost = true;
                return;
            }
            used = (size_t)(stop - chunk) + 4;
            client->state = JOINING;
            put(client, JOIN, sizeof JOIN - 1);
        }
    }
    if (client->state > HANDSHAKE) used += receive_frames(client, chunk + used, size - used);
    client->kept = size - used;
    if (client->kept > 0) {
        client->rest = realloc(client->rest, client->kept);
        memcpy(client->rest, chunk + used, client->kept);
    }
    if (counts_acks && is_measuring && client->state == READY && client->missing == 0) {
        double time = now();
        acks += (uint64_t)batch;
        if (latency_count < MAX_LATENCIES) latencies[latency_count++] = (uint32_t)((time - client->sent) * 1e6);
        send_batch(client, time);
    }
}

static void handle(struct epoll_event *event) {
    Client *client = &clients[event->data.u32];
    bool is_lost = false;
    if (client->state == WAITING) return;
    if (client->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            end(client);
            return;
        }
        if (event->events & EPOLLOUT) {
            struct epoll_event next = {.events = EPOLLIN, .data.u32 = event->data.u32};
            epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &next);
            client->state = HANDSHAKE;
            put(client, REQUEST, sizeof REQUEST - 1);
        }
        return;
    }
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(client, &is_lost);
    if (is_lost) end(client);
}

/* Process events until `until`; return early when `*stop` is true. */
static void turn(int timeout) {
    static struct epoll_event events[MAX_EVENTS];
    int found = epoll_wait(poller, events, MAX_EVENTS, timeout);
    for (int index = 0; index < found; index++) handle(&events[index]);
}

static void retry_due(void) {
    if (waiting == 0) return;
    double time = now();
    for (int index = 0; index < count; index++)
        if (clients[index].state == WAITING && clients[index].due <= time) {
            waiting--;
            begin(&clients[index]);
        }
}

static void open_all(void) {
    for (int index = 0; index < count;) {
        while (index < count && opening < OPENING / 4) begin(&clients[index++]);
        turn(10);
    }
    while (ready < count) turn(100);
    slow = 0;
    printf("ready %d\n", ready);
    fflush(stdout);
}

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double percentile(double share) {
    return latency_count == 0 ? 0 : (double)latencies[(size_t)((double)(latency_count - 1) * share)] / 1e6;
}

static double cpu_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void run_acks(void) {
    double start = now();
    is_measuring = true;
    for (int index = 0; index < count; index++) send_batch(&clients[index], start);
    while (now() < start + 1) turn(100);
    acks = 0;
    latency_count = 0;
    double began = now(), cpu = cpu_seconds();
    while (now() < began + seconds) turn(100);
    double took = now() - began;
    qsort(latencies, latency_count, sizeof *latencies, compare);
    printf("{\"acks\": %llu, \"seconds\": %.6f, \"p50\": %.6f, \"p99\": %.6f, \"longest\": %.6f, \"cpu\": %.3f}\n",
           (unsigned long long)acks, took, percentile(0.5), percentile(0.99), percentile(1), cpu_seconds() - cpu);
}

static void run_idle(void) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)count};
    /* A client of its own kind: the end of standard input. */
    clients[count].fd = 0;
    clients[count].state = READY;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event) != 0) fail("standard input must be a pipe");
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int found = epoll_wait(poller, events, MAX_EVENTS, -1);
        for (int index = 0; index < found; index++) {
            if (events[index].data.u32 == (uint32_t)count) {
                printf("{\"pings\": %llu, \"connections\": %d}\n", (unsigned long long)pings, ready);
                return;
            }
            handle(&events[index]);
        }
    }
}

static void run_reconnect(void) {
    double cpu = cpu_seconds();
    while (lost == 0) turn(100);
    while (ready < count || lost < (uint64_t)count) {
        turn(5);
        retry_due();
        if (now() > first_loss + 60) break;
    }
    printf("{\"connections\": %d, \"lost_at\": %.6f, \"first_back\": %.6f, \"last_back\": %.6f, \"refused\": %llu, "
           "\"slow\": %llu, \"cpu\": %.3f}\n",
           ready, first_loss, first_back, last_back, (unsigned long long)refused, (unsigned long long)slow,
           cpu_seconds() - cpu);
}

int main(int words, char **word) {
    if (words < 2) {
        fprintf(stderr, "usage: load-generator acks|idle|reconnect --port P --connections N ...\n");
        return 2;
    }
    for (int index = 2; index + 1 < words; index += 2) {
        double value = atof(word[index + 1]);
        if (strcmp(word[index], "--port") == 0) port = (int)value;
        else if (strcmp(word[index], "--connections") == 0) count = (int)value;
        else if (strcmp(word[index], "--batch") == 0) batch = (int)value;
        else if (strcmp(word[index], "--seconds") == 0) seconds = value;
        else if (strcmp(word[index], "--retry") == 0) retry = (int)value;
    }
    counts_acks = strcmp(word[1], "acks") == 0;
    reconnects = strcmp(word[1], "reconnect") == 0;
    clients = calloc((size_t)count + 1, sizeof *clients);
    latencies = malloc(MAX_LATENCIES * sizeof *latencies);
    poller = epoll_create1(0);
    make_burst();
    open_all();
    if (counts_acks) run_acks();
    else if (reconnects) run_reconnect();
    else run_idle();
    return 0;
}
