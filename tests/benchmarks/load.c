/* The load of the benchmarks: one thread, epoll, raw bytes; load.py says the same in Python where
 * there is no compiler.
 *
 *   load PORT REQUEST_FILE SAMPLES_FILE MODE CONNECTIONS SECONDS RATE CHUNKS BYTES PATIENCE
 *
 * MODE closed: each connection sends its next request when it has an answer, for SECONDS.
 * MODE rate:   RATE requests a second for SECONDS, on as many connections as are needed, up to
 *              CONNECTIONS. A time counts from when the request was due, not from its sending.
 * MODE once:   one request on each of CONNECTIONS, begun evenly over SECONDS.
 *
 * An answer is whole if its status is 200, its framing complete, its body no shorter than BYTES
 * and, for a stream, if it brought CHUNKS stamps ("@" and 17 digits of the provider's clock).
 * Whoever is not done PATIENCE seconds after the last sending is incomplete.
 *
 * SAMPLES_FILE gets three arrays, each its length and then its values (native uint32, units of
 * 100 ns): time to the first content, to the last byte, and of each chunk's way from the provider.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, HEAD_MAX = 16384, DIGITS = 17, SAMPLES_MAX = 4000000, FAILURES_MAX = 10000 };
enum { HEAD, PLAIN, TO_CLOSE, SIZE, SIZE_REST, DATA, DATA_END, TRAILER };

typedef struct {
    uint32_t *at;
    uint64_t used, room;
} Samples;

typedef struct Connection {
    int fd, busy, writing, state, status, fresh; /* `fresh`: nothing was sent on it yet */
    uint64_t due, first, left, bytes, stamp;
    int digits, stamps, line; /* `digits` read of a stamp, -1: in none; `line`: of a trailer */
    size_t sent, head_used;
    char head[HEAD_MAX];
    struct Connection *next_idle;
} Connection;

static Samples firsts, lasts, transits;
static Connection **all, *idle;
static int opened, connections, running, poller, timer, port;
static const char *request;
static size_t request_size;
static uint64_t began, end, want_bytes, chunk_count, failed, incomplete, sent_count, planned;
static int want_chunks, by_rate;
static char why[256];
static char page[262144];

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sample(Samples *s, uint64_t from, uint64_t to) {
    if (s->used == SAMPLES_MAX) return;
    if (s->used == s->room) {
        s->room = s->room ? s->room * 2 : 4096;
        s->at = realloc(s->at, s->room * sizeof *s->at);
        if (!s->at) abort();
    }
    uint64_t units = to > from ? (to - from) / 100 : 0;
    s->at[s->used++] = units > UINT32_MAX ? UINT32_MAX : (uint32_t)units;
}

static void fail(const char *what, int number) {
    failed++;
    if (!*why) snprintf(why, sizeof why, what, number);
}

/* -- one connection --------------------------------------------------------------------------- */

static int dial(Connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) {
        if (c->fd >= 0) close(c->fd);
        c->fd = -1;
        return 0;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
    c->fresh = 1;
    return 1;
}

static void hang_up(Connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void rest(Connection *c) {
    if (c->busy) running--;
    c->busy = 0;
    c->next_idle = idle;
    idle = c;
}

static Connection *somebody(void) {
    Connection *c = idle;
    if (c) { idle = c->next_idle; return c; }
    if (opened == connections) return NULL;
    c = calloc(1, sizeof *c);
    if (!c) abort();
    c->fd = -1;
    all[opened++] = c;
    return c;
}

static void push(Connection *c) {
    while (c->sent < request_size) {
        ssize_t n = send(c->fd, request + c->sent, request_size - c->sent, MSG_DONTWAIT);
        if (n <= 0) break;
        c->sent += (size_t)n;
    }
    int waits = c->sent < request_size;
    if (waits == c->writing) return;
    struct epoll_event e = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    c->writing = waits;
}

static void ask(Connection *c, uint64_t due) {
    sent_count++;
    c->busy = 1;
    running++;
    if (c->fd < 0 && !dial(c)) { fail("cannot connect: %d", errno); rest(c); return; }
    c->due = due;
    c->state = HEAD;
    c->digits = -1;
    c->first = c->left = c->bytes = 0;
    c->stamps = c->line = 0;
    c->sent = c->head_used = 0;
    c->writing = 0;
    push(c);
    c->fresh = 0;
}

/* -- answers ---------------------------------------------------------------------------------- */

static void scan(Connection *c, const char *at, const char *to, uint64_t now) {
    c->bytes += (uint64_t)(to - at);
    if (!c->first && !want_chunks) c->first = now;
    if (!want_chunks) return;
    while (at < to) {
        if (c->digits < 0) {
            at = memchr(at, '@', (size_t)(to - at));
            if (!at) return;
            at++;
            c->digits = 0;
            c->stamp = 0;
        }
        while (at < to && c->digits < DIGITS && *at >= '0' && *at <= '9') {
            c->stamp = c->stamp * 10 + (uint64_t)(*at++ - '0');
            c->digits++;
        }
        if (c->digits == DIGITS) {
            sample(&transits, c->stamp, now);
            c->stamps++;
            chunk_count++;
            if (!c->first) c->first = now;
        } else if (at == to) return; /* The rest of the stamp comes with the next bytes. */
        c->digits = -1;
    }
}

static void done(Connection *c, uint64_t now, int keeps) {
    if (c->status != 200) fail("status %d", c->status);
    else if (c->bytes < want_bytes) fail("only %d bytes of body", (int)c->bytes);
    else if (c->stamps != want_chunks) fail("%d chunks", c->stamps);
    else {
        sample(&firsts, c->due, c->first ? c->first : now);
        sample(&lasts, c->due, now);
    }
    if (!keeps) hang_up(c);
    rest(c);
}

/* What of the head matters; its end is known to be there. */
static int read_head(Connection *c) {
    int keeps = 1, chunked = 0, length = 0;
    c->status = atoi(c->head + 9);
    for (char *line = strstr(c->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        char *at = line + 2;
        if (!strncasecmp(at, "content-length:", 15)) { c->left = strtoull(at + 15, NULL, 10); length = 1; }
        if (!strncasecmp(at, "transfer-encoding:", 18)) chunked = 1;
        if (!strncasecmp(at, "connection: close", 17)) keeps = 0;
    }
    c->state = chunked ? SIZE : length ? PLAIN : TO_CLOSE;
    if (chunked) c->left = 0;
    return keeps;
}

static int digit(char ch) {
    return ch >= '0' && ch <= '9' ? ch - '0' : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10 : -1;
}

/* Eats the bytes that were read; 1: the answer is at its end. */
static int eat(Connection *c, const char *at, const char *to, uint64_t now) {
    while (at < to || (c->state == PLAIN && !c->left)) {
        if (c->state == PLAIN || c->state == TO_CLOSE || c->state == DATA) {
            uint64_t n = (uint64_t)(to - at);
            if (c->state != TO_CLOSE && n > c->left) n = c->left;
            if (n) scan(c, at, at + n, now);
            at += n;
            if (c->state == TO_CLOSE) continue;
            c->left -= n;
            if (c->left) continue;
            if (c->state == PLAIN) return 1;
            c->state = DATA_END;
        } else if (c->state == SIZE) {
            int value = digit(*at);
            if (value < 0) c->state = SIZE_REST;
            else { c->left = c->left * 16 + (uint64_t)value; at++; }
        } else if (c->state == SIZE_REST) {
            if (*at++ == '\n') { c->state = c->left ? DATA : TRAILER; c->line = 0; }
        } else if (c->state == DATA_END) {
            if (*at++ == '\n') c->state = SIZE;
        } else { /* TRAILER: up to an empty line */
            char ch = *at++;
            if (ch == '\n') { if (!c->line) return 1; c->line = 0; }
            else if (ch != '\r') c->line++;
        }
    }
    return 0;
}

static void received(Connection *c) {
    ssize_t n = recv(c->fd, page, sizeof page, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    uint64_t now = now_ns();
    if (n <= 0) {
        hang_up(c);
        if (!c->busy) return; /* It may be closed between two requests. */
        if (c->state == TO_CLOSE && n == 0) { done(c, now, 0); return; }
        fail("closed in the middle of an answer", 0);
        rest(c);
        return;
    }
    if (!c->busy) { fail("bytes that nobody asked for", 0); hang_up(c); return; }
    const char *at = page, *to = page + n;
    if (c->state == HEAD) {
        size_t had = c->head_used, more = (size_t)n < HEAD_MAX - 1 - had ? (size_t)n : HEAD_MAX - 1 - had;
        memcpy(c->head + had, page, more);
        c->head_used += more;
        c->head[c->head_used] = 0;
        char *ends = strstr(c->head, "\r\n\r\n");
        if (!ends) {
            if (c->head_used == HEAD_MAX - 1) { fail("an endless head", 0); hang_up(c); rest(c); }
            return;
        }
        at = page + ((size_t)(ends + 4 - c->head) - had);
        ends[2] = 0;
        c->fresh = !read_head(c); /* From here on: it will be closed. */
    }
    if (eat(c, at, to, now)) done(c, now, !c->fresh);
}

/* -- the three kinds of load ------------------------------------------------------------------ */

static uint64_t due_at(uint64_t number, double gap) { return began + (uint64_t)((double)number * gap); }

/* Sends what is due; the next time when something is, 0: never. */
static uint64_t send_due(uint64_t *number, double gap, uint64_t now) {
    while (*number < planned && due_at(*number, gap) <= now) {
        Connection *c = somebody();
        if (!c) return now + 200000; /* All are busy: it waits, and its clock runs. */
        ask(c, due_at((*number)++, gap));
    }
    return *number < planned ? due_at(*number, gap) : 0;
}

static void arm(uint64_t at) {
    struct itimerspec t = {.it_value = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void run(double seconds, double rate, double patience, int closed) {
    uint64_t number = 0, last = began + (uint64_t)((seconds + patience) * 1e9);
    double gap = by_rate ? 1e9 / rate : planned ? seconds * 1e9 / (double)planned : 0;
    end = began + (uint64_t)(seconds * 1e9);
    for (;;) {
        uint64_t now = now_ns(), next = 0;
        Connection *c;
        if (failed > FAILURES_MAX) end = now; /* Nobody is there: no use in asking for seconds. */
        if (closed) /* One at least: a starved machine may be late for its very beginning. */
            while ((now < end || !number) && (c = somebody())) { ask(c, now_ns()); now = now_ns(); number = 1; }
        else next = send_due(&number, gap, now);
        if ((closed ? now >= end : number == planned) && !running) break;
        if (now >= last) { incomplete += (uint64_t)running + (planned - number) * !closed; break; }
        arm(next && next < last ? next : last);
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(poller, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr) continue; /* The timer. */
            c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) push(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) received(c);
        }
    }
}

static void write_samples(FILE *to, Samples *s) {
    fwrite(&s->used, sizeof s->used, 1, to);
    fwrite(s->at, sizeof *s->at, s->used, to);
}

static char *slurp(const char *name, size_t *size) {
    FILE *from = fopen(name, "rb");
    if (!from) { perror(name); exit(1); }
    char *text = malloc(1 << 20);
    *size = fread(text, 1, 1 << 20, from);
    fclose(from);
    return text;
}

int main(int argc, char **argv) {
    if (argc != 11) { fprintf(stderr, "see the head of load.c\n"); return 2; }
    signal(SIGPIPE, SIG_IGN);
    port = atoi(argv[1]);
    request = slurp(argv[2], &request_size);
    int closed = !strcmp(argv[4], "closed");
    by_rate = !strcmp(argv[4], "rate");
    connections = atoi(argv[5]);
    double seconds = atof(argv[6]), rate = atof(argv[7]);
    want_chunks = atoi(argv[8]);
    want_bytes = strtoull(argv[9], NULL, 10);
    planned = closed ? 0 : by_rate ? (uint64_t)(seconds * rate + 0.5) : (uint64_t)connections;
    all = calloc((size_t)connections, sizeof *all);
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event of_timer = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &of_timer);
    began = now_ns();
    run(seconds, rate, atof(argv[10]), closed);
    double took = (double)(now_ns() - began) / 1e9;
    FILE *to = fopen(argv[3], "wb");
    if (!to) { perror(argv[3]); return 1; }
    write_samples(to, &firsts);
    write_samples(to, &lasts);
    write_samples(to, &transits);
    fclose(to);
    printf("{\"sent\": %llu, \"whole\": %llu, \"failed\": %llu, \"incomplete\": %llu, \"chunks\": %llu, "
           "\"seconds\": %.6f, \"connections\": %d, \"why\": \"%s\"}\n",
           (unsigned long long)sent_count, (unsigned long long)lasts.used, (unsigned long long)failed,
           (unsigned long long)incomplete, (unsigned long long)chunk_count, took, opened, why);
    return 0;
}
