/* The C floor: an epoll server that sends precomputed replies.
 *
 *     benchmarks/setup-compiled
 *     build/benchmarks/c-floor --port P [--ping-interval=SECONDS]
 *
 * The program looks up the reply to each chunk of bytes, like bare.py, and does nothing else: one read and one write
 * per chunk. Its cost is the cost of the kernel, so no server of any language can reach a goal below it on the same
 * machine. It implements only the requests that the load generator sends: the WebSocket handshake, `echo` and `bcast`
 * with frames below 64 KiB, pongs and the close frame.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CHUNK = 65536, MAX_CONNECTIONS = 262144, SLOTS = 8192, MAX_EVENTS = 256, PARTS = 100 };

static const char OPEN_PACKET[] =
    "0{\"sid\":\"0123456789abcdefghij\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,"
    "\"maxPayload\":1000000}";
static const char CONNECT_PACKET[] = "40{\"sid\":\"0123456789abcdefghij\"}";
static const char HANDSHAKE[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/* A chunk of bytes, its reply to the sender, and the frame that all members receive. */
typedef struct {
    char *chunk, *reply, *broadcast;
    size_t chunk_size, reply_size, broadcast_size;
    bool closes;
} Answer;

static Answer answers[SLOTS];
static bool is_member[MAX_CONNECTIONS]; /* from the handshake on */
static int highest;

static size_t put_frame(char *to, uint8_t first, const char *payload, size_t size) {
    size_t head = 2;
    to[0] = (char)first;
    if (size < 126) {
        to[1] = (char)size;
    } else {
        to[1] = 126;
        to[2] = (char)(size >> 8);
        to[3] = (char)size;
        head = 4;
    }
    memcpy(to + head, payload, size);
    return head + size;
}

/* Append the reply to one message; `text` is the message without its mask, which is zero. */
static void answer_message(Answer *answer, const char *text, size_t size) {
    static char packet[MAX_CHUNK];
    char *reply = answer->reply + answer->reply_size;
    if (size == 2 && memcmp(text, "40", 2) == 0) {
        answer->reply_size += put_frame(reply, 0x81, CONNECT_PACKET, sizeof CONNECT_PACKET - 1);
        return;
    }
    if (size < 3 || memcmp(text, "42", 2) != 0) return; /* a pong */
    const char *name = memchr(text, '[', size);
    if (name == NULL) return;
    const char *data = memchr(name, ',', (size_t)(text + size - name));
    if (data == NULL) return;
    size_t data_size = (size_t)(text + size - data) - 1; /* with the bracket at the end */
    size_t id_size = (size_t)(name - text) - 2;
    bool is_broadcast = strncmp(name, "[\"bcast\"", 8) == 0;
    if (is_broadcast) {
        size_t length = (size_t)sprintf(packet, "42[\"update\",%.*s", (int)data_size, data + 1);
        answer->broadcast = malloc(length + 4);
        answer->broadcast_size = put_frame(answer->broadcast, 0x81, packet, length);
    }
    if (id_size > 0) {
        const char *result = is_broadcast ? "1]" : data + 1;
        int length = sprintf(packet, "43%.*s[%.*s", (int)id_size, text + 2,
                             is_broadcast ? 2 : (int)data_size, result);
        answer->reply_size += put_frame(reply, 0x81, packet, (size_t)length);
    }
}

static void compute(Answer *answer, const char *chunk, size_t size) {
    answer->chunk = malloc(size);
    memcpy(answer->chunk, chunk, size);
    answer->chunk_size = size;
    answer->reply = malloc(2 * size + 1024);
    if (size > 4 && memcmp(chunk, "GET ", 4) == 0) {
        memcpy(answer->reply, HANDSHAKE, sizeof HANDSHAKE - 1);
        answer->reply_size = sizeof HANDSHAKE - 1;
        answer->reply_size +=
            put_frame(answer->reply + answer->reply_size, 0x81, OPEN_PACKET, sizeof OPEN_PACKET - 1);
        return;
    }
    for (size_t at = 0; at + 6 <= size;) {
        size_t length = (uint8_t)chunk[at + 1] & 0x7F, start = at + 6;
        if (length == 126) {
            length = (size_t)(uint8_t)chunk[at + 2] << 8 | (uint8_t)chunk[at + 3];
            start += 2;
        }
        if (start + length > size) break;
        if ((uint8_t)chunk[at] == 0x88) {
            answer->reply_size += put_frame(answer->reply + answer->reply_size, 0x88, chunk + start, length);
            answer->closes = true;
        } else {
            answer_message(answer, chunk + start, length);
        }
        at = start + length;
    }
}

static Answer *find(const char *chunk, size_t size) {
    uint64_t hash = 1469598103934665603u ^ size;
    size_t step = size > 64 ? size / 64 : 1; /* a sample; the comparison decides */
    for (size_t at = 0; at < size; at += step) hash = (hash ^ (uint8_t)chunk[at]) * 1099511628211u;
    for (size_t probe = 0; probe < SLOTS; probe++) {
        Answer *answer = &answers[(hash + probe) % SLOTS];
        if (answer->chunk == NULL) {
            compute(answer, chunk, size);
            return answer;
        }
        if (answer->chunk_size == size && memcmp(answer->chunk, chunk, size) == 0) return answer;
    }
    fprintf(stderr, "c-floor: more than %d different chunks\n", SLOTS);
    exit(1);
}

static void write_all(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, 1000);
        } else if (sent < 0) {
            return;
        } else {
            data += sent;
            size -= (size_t)sent;
        }
    }
}

static void leave(int fd) {
    is_member[fd] = false;
    close(fd);
}

static void serve(int fd) {
    static char chunk[MAX_CHUNK];
    ssize_t size = recv(fd, chunk, sizeof chunk, 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) leave(fd);
        return;
    }
    const Answer *answer = find(chunk, (size_t)size);
    if (chunk[0] == 'G') is_member[fd] = true;
    if (answer->broadcast_size > 0)
        for (int member = 0; member <= highest; member++)
            if (is_member[member]) write_all(member, answer->broadcast, answer->broadcast_size);
    if (answer->reply_size > 0) write_all(fd, answer->reply, answer->reply_size);
    if (answer->closes) leave(fd);
}

static int64_t microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Send pings to the next part of the members if its time has come; return the milliseconds until the next part. */
static int send_pings(int64_t interval) {
    static int64_t next;
    static int part;
    int64_t now = microseconds();
    if (next == 0) next = now + interval;
    if (now >= next) {
        for (int member = part; member <= highest; member += PARTS)
            if (is_member[member]) write_all(member, "\x81\x01" "2", 3);
        part = (part + 1) % PARTS;
        next += interval / PARTS;
    }
    return next > now ? (int)((next - now) / 1000) + 1 : 0;
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) {
        perror("c-floor: listen");
        exit(1);
    }
    return fd;
}

int main(int count, char **words) {
    int64_t interval = 25000000;
    for (int index = 1; index < count; index++)
        if (strncmp(words[index], "--ping-interval=", 16) == 0) {
            interval = (int64_t)(atof(words[index] + 16) * 1e6);
            memmove(words + index, words + index + 1, (size_t)(--count - index) * sizeof *words);
        }
    if (count != 3 || strcmp(words[1], "--port") != 0 || interval <= 0) {
        fprintf(stderr, "usage: c-floor --port P [--ping-interval=SECONDS]\n");
        return 2;
    }
    signal(SIGUSR2, SIG_IGN); /* the benchmark sends it before it reads the memory of a server */
    int listener = listen_on(atoi(words[2])), poller = epoll_create1(0), on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[MAX_EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, MAX_EVENTS, send_pings(interval));
        for (int index = 0; index < ready; index++) {
            int fd = events[index].data.fd;
            if (fd != listener) {
                serve(fd);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                if (fd >= MAX_CONNECTIONS) {
                    close(fd);
                    continue;
                }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                if (fd > highest) highest = fd;
                event.data.fd = fd;
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
