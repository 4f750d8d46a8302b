/* The provider of the benchmarks: one thread, epoll, kept connections; provider.py says the same in
 * Python where there is no compiler. It takes a free port and tells it.
 *
 * What is answered is steered by a text anywhere in the request's body, so that it passes through
 * every gateway and every translation: "steer(CHUNKS PAUSE_MS BYTES)". Asked for a stream, CHUNKS
 * chunks come, PAUSE_MS apart (0: all at once); otherwise one JSON body of BYTES. Paths that end
 * in /messages are answered as Anthropic, all others as OpenAI chat. Statuses other than 200: the
 * first segment of the path is s429, s500 and so on; or a name that POST /control/NAME/STATUS has
 * set (200: well again); or the key contains "limited" (429). What control answers is how many
 * answers were none of 200 so far.
 *
 * Each chunk of text carries "@<nanoseconds of CLOCK_MONOTONIC, 17 digits>" of when it was made.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, READ_STEP = 65536, NAMES_MAX = 64, TEXT_MAX = 1024, STREAMS_MAX = 65536 };

typedef struct { char *at; size_t used, room; } Bytes;

typedef struct {
    int fd, place;                /* `place` in the heap of paced streams; -1: in none */
    int anthropic, left, writing; /* `left`: chunks of a stream still to come */
    int usage;                    /* the client asked for a chunk with usage */
    uint64_t due, pause;
    Bytes in, out;
    size_t sent;
} Connection;

static int poller, timer;
static Connection *heap[STREAMS_MAX];
static int heap_used;
static struct { char name[32]; int status; } names[NAMES_MAX];
static int names_used, failed;
static Bytes filler;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void need(Bytes *b, size_t more) {
    if (b->used + more <= b->room) return;
    b->at = realloc(b->at, b->room = (b->used + more) * 2);
    if (!b->at) abort();
}

static void add(Bytes *b, const char *data, size_t n) {
    need(b, n);
    memcpy(b->at + b->used, data, n);
    b->used += n;
}
static void say(Bytes *b, const char *text) { add(b, text, strlen(text)); }

/* -- the heap of paced streams, soonest first ------------------------------------------------- */

static void put(int i, Connection *c) { heap[i] = c; c->place = i; }
static void sift(int i) {
    Connection *c = heap[i];
    while (i > 0 && heap[(i - 1) / 2]->due > c->due) { put(i, heap[(i - 1) / 2]); i = (i - 1) / 2; }
    for (;;) {
        int k = 2 * i + 1;
        if (k >= heap_used) break;
        if (k + 1 < heap_used && heap[k + 1]->due < heap[k]->due) k++;
        if (heap[k]->due >= c->due) break;
        put(i, heap[k]);
        i = k;
    }
    put(i, c);
}

static void pace(Connection *c) {
    if (heap_used == STREAMS_MAX) abort();
    put(heap_used++, c);
    sift(c->place);
}

static void unpace(Connection *c) {
    int i = c->place;
    if (i < 0) return;
    c->place = -1;
    Connection *last = heap[--heap_used];
    if (last != c) { put(i, last); sift(i); }
}

static void arm(void) {
    uint64_t due = heap_used ? heap[0]->due : 0; /* 0: it does not ring. */
    struct itimerspec t = {.it_value = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* -- answers ---------------------------------------------------------------------------------- */

static const char CHUNK[] =
    "\"id\":\"chatcmpl-benchmark000000000000000\",\"object\":\"chat.completion.chunk\","
    "\"created\":1795435200,\"model\":\"model-a\",\"service_tier\":\"default\","
    "\"system_fingerprint\":\"fp_benchmark\"";

static void chunk(Bytes *out, const char *data, size_t n) {
    char size[16];
    add(out, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", n));
    add(out, data, n);
    say(out, "\r\n");
}

static void chunk_text(Bytes *out, const char *text) { chunk(out, text, strlen(text)); }

static void stream_head(Connection *c) {
    char line[TEXT_MAX];
    say(&c->out, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                 "transfer-encoding: chunked\r\nx-request-id: req_benchmark\r\n\r\n");
    if (c->anthropic) {
        chunk_text(&c->out,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
            "\"msg_benchmark\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"model-a\","
            "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"
            "{\"input_tokens\":40,\"output_tokens\":1}}}\n\n");
        chunk_text(&c->out,
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
        return;
    }
    snprintf(line, sizeof line, "data: {%s,\"choices\":[{\"index\":0,\"delta\":{\"role\":"
             "\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n", CHUNK);
    chunk_text(&c->out, line);
}

static void stream_text(Connection *c) {
    char line[TEXT_MAX];
    unsigned long long at = now_ns();
    int n = c->anthropic
        ? snprintf(line, sizeof line, "event: content_block_delta\ndata: {\"type\":"
                   "\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
                   "\"text\":\" @%017llu\"}}\n\n", at)
        : snprintf(line, sizeof line, "data: {%s,\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                   "\" @%017llu\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n", CHUNK, at);
    chunk(&c->out, line, (size_t)n);
}

static void stream_end(Connection *c) {
    char line[TEXT_MAX];
    if (c->anthropic) {
        chunk_text(&c->out,
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
            "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":100}}\n\n"
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    } else {
        snprintf(line, sizeof line, "data: {%s,\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":"
                 "null,\"finish_reason\":\"stop\"}]}\n\n", CHUNK);
        chunk_text(&c->out, line);
        if (c->usage) {
            snprintf(line, sizeof line, "data: {%s,\"choices\":[],\"usage\":{\"prompt_tokens\":40,"
                     "\"completion_tokens\":100,\"total_tokens\":140}}\n\n", CHUNK);
            chunk_text(&c->out, line);
        }
        chunk_text(&c->out, "data: [DONE]\n\n");
    }
    say(&c->out, "0\r\n\r\n");
}

static void whole(Connection *c, int status, const char *before, size_t fill, const char *after) {
    char head[TEXT_MAX];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\ncontent-type: application/json\r\n"
                     "content-length: %zu\r\nx-request-id: req_benchmark\r\n\r\n",
                     status, strlen(before) + fill + strlen(after));
    add(&c->out, head, (size_t)n);
    say(&c->out, before);
    while (filler.used < fill) say(&filler, "A keel keeps a boat upright. ");
    add(&c->out, filler.at ? filler.at : "", fill);
    say(&c->out, after);
}

static void single(Connection *c, size_t bytes) {
    const char *before, *after;
    if (c->anthropic) {
        before = "{\"id\":\"msg_benchmark\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
                 "\"model-a\",\"content\":[{\"type\":\"text\",\"text\":\"";
        after = "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":"
                "{\"input_tokens\":40,\"output_tokens\":126}}";
    } else {
        before = "{\"id\":\"chatcmpl-benchmark000000000000000\",\"object\":\"chat.completion\","
                 "\"created\":1795435200,\"model\":\"model-a\",\"service_tier\":\"default\","
                 "\"system_fingerprint\":\"fp_benchmark\",\"choices\":[{\"index\":0,\"message\":"
                 "{\"role\":\"assistant\",\"content\":\"";
        after = "\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":40,"
                "\"completion_tokens\":126,\"total_tokens\":166}}";
    }
    size_t around = strlen(before) + strlen(after);
    whole(c, 200, before, bytes > around ? bytes - around : 0, after);
}

static void failure(Connection *c, int status) {
    failed++;
    const char *kind = status == 429 ? "rate_limit_error" : "api_error";
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "{\"type\":\"error\",\"error\":{\"message\":\"Rate limit reached\","
             "\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}", kind, kind);
    whole(c, status, text, 0, "");
}

/* -- requests --------------------------------------------------------------------------------- */

static int *named(const char *name, size_t n, int make) {
    for (int i = 0; i < names_used; i++)
        if (strlen(names[i].name) == n && !memcmp(names[i].name, name, n)) return &names[i].status;
    if (!make || names_used == NAMES_MAX || n >= sizeof names[0].name) return NULL;
    memcpy(names[names_used].name, name, n);
    return &names[names_used++].status;
}

static int status_of(const char *path, size_t n, const char *head, size_t head_n) {
    const char *end = n > 1 ? memchr(path + 1, '/', n - 1) : NULL;
    size_t first = end ? (size_t)(end - path - 1) : n ? n - 1 : 0;
    if (first == 4 && path[1] == 's' && isdigit((unsigned char)path[2])) return atoi(path + 2);
    int *set = named(path + 1, first, 0);
    if (set && *set) return *set;
    return memmem(head, head_n, "limited", 7) ? 429 : 200;
}

static void control(Connection *c, const char *path, size_t n) {
    const char *name = path + 9, *slash = n > 9 ? memchr(name, '/', n - 9) : NULL;
    int *set = slash ? named(name, (size_t)(slash - name), 1) : NULL;
    char told[64];
    if (set) *set = atoi(slash + 1);
    snprintf(told, sizeof told, "{\"failed\": %d}", failed);
    whole(c, set ? 200 : 400, told, 0, "");
}

static void answer(Connection *c, const char *head, size_t head_n, const char *body, size_t body_n) {
    const char *path = memchr(head, ' ', head_n);
    const char *end = path ? memchr(path + 1, ' ', head_n - (size_t)(path + 1 - head)) : NULL;
    if (!end) { whole(c, 400, "{}", 0, ""); return; }
    size_t n = (size_t)(end - ++path);
    if (n > 9 && !memcmp(path, "/control/", 9)) { control(c, path, n); return; }
    if (n >= 10 && !memcmp(end - 10, "/v1/traces", 10)) { whole(c, 200, "", 0, ""); return; }
    c->anthropic = n >= 9 && !memcmp(end - 9, "/messages", 9);
    int status = status_of(path, n, head, head_n), chunks = 100, pause = 0, bytes = 1024;
    if (status != 200) { failure(c, status); return; }
    const char *steer = memmem(body, body_n, "steer(", 6);
    if (steer) sscanf(steer + 6, "%d %d %d", &chunks, &pause, &bytes);
    int streams = memmem(body, body_n, "\"stream\":true", 13) || memmem(body, body_n, "\"stream\": true", 14);
    if (!streams) { single(c, (size_t)bytes); return; }
    c->usage = memmem(body, body_n, "include_usage", 13) != NULL;
    c->left = chunks;
    stream_head(c);
    if (pause) { /* The first comes at once. */
        c->pause = (uint64_t)pause * 1000000u;
        c->due = now_ns() + c->pause;
        stream_text(c);
        c->left--;
        pace(c);
        return;
    }
    while (c->left) { stream_text(c); c->left--; }
    stream_end(c);
}

/* The length of a chunked body that is whole, with its decoding done in place; -1: not yet. */
static ssize_t dechunk(char *at, size_t n, size_t *raw) {
    for (int moves = 0;; moves++) { /* First it is only looked at: it may not be whole. */
        for (size_t from = 0, to = 0, size = 1, start; size; from = start + size + 2, to += size) {
            char *line = memmem(at + from, n - from, "\r\n", 2);
            size = strtoul(at + from, NULL, 16);
            start = line ? (size_t)(line - at) + 2 : n;
            if (start + size + 2 > n) return -1;
            if (moves && !size) return (ssize_t)to;
            if (moves) memmove(at + to, at + start, size);
            *raw = start + 2;
        }
    }
}

/* Answers the first whole request that was read; 0: there is none. */
static int take(Connection *c) {
    char *head = c->in.at, *end = c->in.used ? memmem(head, c->in.used, "\r\n\r\n", 4) : NULL;
    if (!end) return 0;
    size_t head_n = (size_t)(end - head) + 4, left = c->in.used - head_n, raw = 0;
    ssize_t body_n = 0;
    for (char *line = head; line && line < end; line = memmem(line, (size_t)(end + 2 - line), "\r\n", 2)) {
        if (line != head) line += 2;
        if (!strncasecmp(line, "content-length:", 15)) raw = (size_t)(body_n = atol(line + 15));
        if (!strncasecmp(line, "transfer-encoding:", 18)) body_n = -1;
        if (line == head) line += 1;
    }
    if (body_n < 0) {
        if ((body_n = dechunk(head + head_n, left, &raw)) < 0) return 0;
    } else if (left < raw) return 0;
    answer(c, head, head_n, head + head_n, (size_t)body_n);
    c->in.used = left - raw;
    memmove(c->in.at, c->in.at + head_n + raw, c->in.used);
    return 1;
}

static void drop(Connection *c) {
    unpace(c);
    close(c->fd);
    free(c->in.at);
    free(c->out.at);
    free(c);
}

static int flush(Connection *c) {
    while (c->sent < c->out.used) {
        ssize_t n = write(c->fd, c->out.at + c->sent, c->out.used - c->sent);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) return 0;
        c->sent += (size_t)n;
    }
    int waits = c->sent < c->out.used;
    if (!waits) c->sent = c->out.used = 0;
    if (waits != c->writing) {
        struct epoll_event e = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
        c->writing = waits;
    }
    return 1;
}

static int readable(Connection *c) {
    need(&c->in, READ_STEP);
    ssize_t n = read(c->fd, c->in.at + c->in.used, c->in.room - c->in.used);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
    if (n > 0) c->in.used += (size_t)n;
    while (c->place < 0 && take(c)) {} /* One answer at a time. */
    return 1;
}

static void ticked(void) {
    uint64_t count, now = now_ns();
    if (read(timer, &count, sizeof count) < 0 && errno != EAGAIN) abort();
    while (heap_used && heap[0]->due <= now) {
        Connection *c = heap[0];
        if (c->left) { stream_text(c); c->left--; c->due += c->pause; sift(0); }
        else { unpace(c); stream_end(c); while (c->place < 0 && take(c)) {} }
        if (!flush(c)) drop(c);
    }
}

static void welcome(int listener) {
    for (;;) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Connection *c = calloc(1, sizeof *c);
        if (!c) abort();
        c->fd = fd;
        c->place = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("serves on http://127.0.0.1:%d\n", ntohs(at.sin_port));
    fflush(stdout);
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event of_listener = {.events = EPOLLIN, .data.ptr = &listener};
    struct epoll_event of_timer = {.events = EPOLLIN, .data.ptr = &timer};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &of_listener);
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &of_timer);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(poller, events, EVENTS_MAX, -1), tick = 0;
        for (int i = 0; i < n; i++) {
            void *what = events[i].data.ptr;
            if (what == &listener) welcome(listener);
            else if (what == &timer) tick = 1;
            else {
                Connection *c = what;
                int fine = !(events[i].events & (EPOLLERR | EPOLLHUP));
                if (fine && events[i].events & EPOLLIN) fine = readable(c);
                if (!fine || !flush(c)) drop(c);
            }
        }
        if (tick) ticked(); /* Last: it may drop connections that have events above. */
        arm();
    }
}
