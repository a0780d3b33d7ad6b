/* A worker in which a call hangs gives its other requests to other workers. handover.py beside this file calls it.

   A thread without Python looks ten times a second. When the worker's loop has not turned for a second, or Python says
   that a call takes too long, and another worker is free, every connection but those of the running call gets REPLY,
   upon which nginx asks another worker; so does who connects. REPLY goes to idle connections too: nginx closes them, or
   takes it for the answer to what it has just sent. Laws: nothing is read from a connection of Python's, none is closed,
   and none is written to after forget(). */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SOURCE_HASH
#define SOURCE_HASH "unknown"
#endif
const char *const source_hash = SOURCE_HASH; /* handover.py takes no library of another source */

enum { NOBODY, OPEN, KEPT, HANDED_ON };
enum { MOST = 1 << 17, MOST_WORKERS = 512, LOOKS_A_SECOND = 10, STILL = 12, MOST_LEAVING = 1024 };

_Atomic unsigned char connections[MOST]; /* what may be done with each, by its file descriptor; Python says it */
_Atomic int is_away;                     /* the socket cannot be found */

static const char REPLY[] = "HTTP/1.1 503 Service Unavailable\r\nX-Accel-Redirect: @handed_on\r\n"
                            "Content-Length: 0\r\nConnection: close\r\n\r\n";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned *free_turns; /* of all workers, shared: how often each has said that it could take more */
static int worker_count, own_place;
static _Atomic unsigned turns; /* how often the worker has said that its loop turns */
static _Atomic int is_free = 1;
static _Atomic int listening = -1;
static char here[256], away[256];
static int leaving[MOST_LEAVING], leaving_count;

/* Memory that all workers share; to be called before they fork. NULL: there is none. */
_Atomic unsigned *share(int count)
{
    void *memory;
    if (count < 2 || count > MOST_WORKERS)
        return NULL;
    memory = mmap(NULL, (size_t)count * sizeof *free_turns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    worker_count = count;
    free_turns = memory;
    return free_turns;
}

static void say(int fd)
{
    ssize_t sent = send(fd, REPLY, sizeof REPLY - 1, MSG_DONTWAIT);
    (void)sent; /* a caller that is gone, or does not read */
    shutdown(fd, SHUT_WR);
}

/* Those who are on their way in. Their connections are closed when nginx has closed its side: sooner, it would find
   them broken instead of the reply. */
static void turn_away(void)
{
    int fd = 0;
    pthread_mutex_lock(&lock);
    while (listening >= 0 && leaving_count < MOST_LEAVING && (fd = accept(listening, NULL, NULL)) >= 0) {
        say(fd);
        leaving[leaving_count++] = fd;
    }
    pthread_mutex_unlock(&lock);
}

static void see_off(void)
{
    static char dump[65536];
    int kept = 0;
    for (int i = 0; i < leaving_count; i++) {
        ssize_t got;
        do
            got = recv(leaving[i], dump, sizeof dump, MSG_DONTWAIT);
        while (got > 0);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            leaving[kept++] = leaving[i];
        else
            close(leaving[i]);
    }
    leaving_count = kept;
}

static void hand_on(void)
{
    if (!is_away && rename(here, away) == 0)
        is_away = 1;
    turn_away();
    for (int fd = 3; fd < MOST; fd++)
        if (connections[fd] == OPEN) {
            unsigned char open = OPEN;
            pthread_mutex_lock(&lock);
            if (atomic_compare_exchange_strong(&connections[fd], &open, HANDED_ON))
                say(fd);
            pthread_mutex_unlock(&lock);
        }
}

/* A worker is free that has said so within the last second: since the look before, or some looks before that. */
static int others_are_free(int is_the_first)
{
    static unsigned seen[MOST_WORKERS];
    static int age[MOST_WORKERS];
    int found = 0;
    for (int i = 0; i < worker_count; i++) {
        unsigned now = free_turns[i];
        if (is_the_first)
            age[i] = STILL;
        else if (now != seen[i])
            age[i] = 0;
        else if (age[i] < STILL)
            age[i]++;
        seen[i] = now;
        found |= i != own_place && age[i] < STILL;
    }
    return found;
}

static void *watch(void *unused)
{
    const struct timespec pause = {0, 1000000000 / LOOKS_A_SECOND};
    unsigned seen = turns, still = 0;
    (void)unused;
    others_are_free(1);
    while (listening >= 0) {
        nanosleep(&pause, NULL);
        still = turns == seen ? still + 1 : 0;
        seen = turns;
        if (others_are_free(0) && (still >= STILL || !is_free))
            hand_on();
        see_off();
    }
    return NULL;
}

/* Starts the thread: of the worker in this place, which listens on a socket at this path. 0, or what is wrong. */
int begin(int place, int socket, const char *path)
{
    sigset_t all, before;
    pthread_t thread;
    int failed;
    if (!free_turns || place < 0 || place >= worker_count)
        return EINVAL;
    if (snprintf(here, sizeof here, "%s", path) >= (int)sizeof here ||
        snprintf(away, sizeof away, "%s.away", path) >= (int)sizeof away)
        return ENAMETOOLONG;
    own_place = place;
    listening = socket;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are Python's */
    failed = pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        pthread_detach(thread);
    return failed;
}

/* The worker stops: whoever is in it is answered by it. */
void end(void)
{
    pthread_mutex_lock(&lock);
    listening = -1;
    pthread_mutex_unlock(&lock);
}

/* The worker's loop has turned; and the worker could take more, or not. */
void turned(int free)
{
    turns++;
    is_free = free;
    if (free)
        free_turns[own_place]++;
}

/* Python closes this connection: its number will mean another. */
void forget(int fd)
{
    pthread_mutex_lock(&lock);
    connections[fd] = NOBODY;
    pthread_mutex_unlock(&lock);
}
