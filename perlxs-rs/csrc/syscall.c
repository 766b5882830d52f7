/* System calls and signals. */

struct sleeping {
    const long *first; /* or NULL */
    const long *call;
    long *out;
    int *err;
};

/* As pp_waitpid does it: what came while all was blocked, or wakes the call, is dispatched. In C,
 * since a handler that is not deferred may be a longjmp out of the system call. */
static void S_syscall(pTHX_ void *arg)
{
    const struct sleeping *const s = (const struct sleeping *)arg;
    const long *const c = s->call;

    PERL_ASYNC_CHECK();
    if (s->first)
        syscall(s->first[0], s->first[1], s->first[2], s->first[3], s->first[4], s->first[5],
                s->first[6]);
    do {
        PERL_ASYNC_CHECK();
        *s->out = syscall(c[0], c[1], c[2], c[3], c[4], c[5], c[6]);
        *s->err = errno;
    } while (*s->out == -1 && *s->err == EINTR);
}

int perlxs_syscall(perlxs_interp *interp, const long *first, const long *number_and_args,
                   long *out, int *err, SV **error)
{
    dINTERP;
    struct sleeping s;

    s.first = first;
    s.call = number_and_args;
    s.out = out;
    s.err = err;
    return S_guard(aTHX_ S_syscall, &s, error);
}

int perlxs_signal_number(perlxs_interp *interp, const char *name, size_t len)
{
    dINTERP;
    return (int)whichsig_pvn(name, len);
}
