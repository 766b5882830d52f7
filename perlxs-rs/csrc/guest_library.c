/* What the C library keeps open for a guest: the databases of users, groups, hosts, networks,
 * protocols and services while one goes through them, and the connection to the log. The notes of
 * that are in the memory, the descriptors are the guest's; where another file gets the number, the
 * library would read that, or write to it. Nothing tells whether it has one open. So each operation
 * that may open one is watched: what it opens and leaves open takes the lowest free number. */

static void (*const S_end_of[])(void)
    = { endpwent, endgrent, endhostent, endnetent, endprotoent, endservent };

/* The lowest number that is free, or -1. */
static int S_lowest_free(void)
{
    const int fd = open("/", O_PATH | O_CLOEXEC);

    if (fd != -1)
        close(fd);
    return fd;
}

static int S_is_in_use(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

static int S_database_of(const OP *op)
{
    switch (op->op_type) {
    case OP_GPWENT: case OP_SPWENT: case OP_GPWNAM: case OP_GPWUID:
        return 0;
    case OP_GGRENT: case OP_SGRENT: case OP_GGRNAM: case OP_GGRGID:
        return 1;
    case OP_GHOSTENT: case OP_SHOSTENT: case OP_GHBYNAME: case OP_GHBYADDR:
        return 2;
    case OP_GNETENT: case OP_SNETENT: case OP_GNBYNAME: case OP_GNBYADDR:
        return 3;
    case OP_GPROTOENT: case OP_SPROTOENT: case OP_GPBYNAME: case OP_GPBYNUMBER:
        return 4;
    default:
        return 5;
    }
}

/* For the runops loop. */
#define CASE_OF_DATABASES                                                                          \
    case OP_GPWENT: case OP_SPWENT: case OP_GPWNAM: case OP_GPWUID: case OP_GGRENT:                \
    case OP_SGRENT: case OP_GGRNAM: case OP_GGRGID: case OP_GHOSTENT: case OP_SHOSTENT:            \
    case OP_GHBYNAME: case OP_GHBYADDR: case OP_GNETENT: case OP_SNETENT: case OP_GNBYNAME:        \
    case OP_GNBYADDR: case OP_GPROTOENT: case OP_SPROTOENT: case OP_GPBYNAME:                      \
    case OP_GPBYNUMBER: case OP_GSERVENT: case OP_SSERVENT: case OP_GSBYNAME: case OP_GSBYPORT

/* Runs PL_op; `*opened` is what it has opened and left open, if anything. */
static OP *S_watched(pTHX_ perlxs_shared *s, int *opened)
{
    const int fd = S_lowest_free();
    OP *next;

    s->in_library = 1; /* whoever is killed there may have a lock of it */
    next = PL_op->op_ppaddr(aTHX);
    s->in_library = 0;
    if (fd != -1 && S_is_in_use(fd))
        *opened = fd;
    return next;
}

static OP *S_guest_database(pTHX_ perlxs_shared *s)
{
    return s->shares_files ? PL_op->op_ppaddr(aTHX)
                           : S_watched(aTHX_ s, &s->databases[S_database_of(PL_op)]);
}

/* Whether a function that is written in C is one of a module for syslog(3). */
static int S_logs(pTHX_ CV *cv)
{
    GV *const gv = CvGV(cv);
    HV *const stash = gv && isGV_with_GP(gv) ? GvSTASH(gv) : NULL;
    const char *const name = stash ? HvNAME_get(stash) : NULL;

    return name && strstr(name, "Syslog");
}

/* A call of such a function, PL_op. */
static OP *S_guest_log(pTHX_ perlxs_shared *s)
{
    int opened = -1;
    OP *const next = S_watched(aTHX_ s, &opened);
    socklen_t len = sizeof(s->log_type);

    s->log_len = sizeof(s->log_peer);
    if (opened != -1 && getpeername(opened, (struct sockaddr *)&s->log_peer, &s->log_len) == 0
        && getsockopt(opened, SOL_SOCKET, SO_TYPE, &s->log_type, &len) == 0)
        s->log = opened;
    else if (s->log != -1 && !S_is_in_use(s->log))
        s->log = -1;
    return next;
}

static void S_forget_library(perlxs_shared *s)
{
    size_t i;

    for (i = 0; i < C_ARRAY_LENGTH(s->databases); i++)
        s->databases[i] = -1;
    s->log = -1;
    s->in_library = 0;
}

/* Gives a number that is free a file, so that no other thread's gets it. */
static int S_hold(int number)
{
    const int fd = open("/", O_PATH | O_CLOEXEC);
    int other;

    if (fd == -1 || fd == number)
        return fd == number;
    other = fcntl(fd, F_DUPFD_CLOEXEC, number);
    close(fd);
    if (other != number && other != -1)
        close(other);
    return other == number;
}

/* A guest has had databases open, or the log, that are not open here. A database is closed, as it
 * would be here had the guest been a copy. The log is opened, with the same number: to close it
 * would make the library forget what the program calls itself in it. */
static void S_settle_library(perlxs_shared *s)
{
    size_t i;

    for (i = 0; i < C_ARRAY_LENGTH(s->databases); i++) {
        const int fd = s->databases[i];

        if (fd == -1 || s->in_library || !S_hold(fd))
            continue;
        S_end_of[i]();
        if (S_is_in_use(fd))
            close(fd);
    }
    if (s->log != -1 && !s->in_library && S_hold(s->log)) {
        const int fd = socket(s->log_peer.ss_family, s->log_type | SOCK_CLOEXEC, 0);

        if (fd != -1 && connect(fd, (struct sockaddr *)&s->log_peer, s->log_len) == 0) {
            dup3(fd, s->log, O_CLOEXEC);
            if (s->host) { /* a guest, too: it is not open in its host either */
                s->host->log = s->log;
                s->host->log_type = s->log_type;
                s->host->log_peer = s->log_peer;
                s->host->log_len = s->log_len;
            }
        }
        else
            closelog();
        if (fd != -1)
            close(fd);
    }
    S_forget_library(s);
}
