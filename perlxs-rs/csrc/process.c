/* What comes around a fork and before an exec. */

void perlxs_call_block_signals(perlxs_interp *interp, perlxs_call *call)
{
    dINTERP;
    struct perlxs_blocked *blocked;
    sigset_t all;

    if (call->blocked)
        return;
    ALLOCATING(Newx(blocked, 1, struct perlxs_blocked));
    blocked->outer = interp->mask;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &blocked->mask);
    interp->mask = &blocked->mask;
    call->blocked = blocked;
}

const sigset_t *perlxs_call_signal_mask(perlxs_interp *interp, perlxs_call *call)
{
    PERL_UNUSED_ARG(interp);
    return call->blocked ? &call->blocked->mask : NULL;
}

void perlxs_before_exec(perlxs_interp *interp)
{
    struct sigaction action;

    PERL_UNUSED_ARG(interp);
    Zero(&action, 1, struct sigaction);
    action.sa_handler = PL_sigfpe_saved;
    sigaction(SIGFPE, &action, NULL);
}

#ifndef PERLIO_TABLE_SIZE
#define PERLIO_TABLE_SIZE 64 /* of perlio.c, in all perls */
#endif

#define FOR_EACH_SLOT(table, i)                                                                    \
    for (table = PL_perlio; table; table = table->next)                                            \
        for (i = 1; i < PERLIO_TABLE_SIZE; i++)

/* Whether a flush would do nothing: no handle has anything in its buffer. What is not known to
 * be idle is not. */
static int S_output_is_idle(pTHX)
{
    const PerlIOl *table;
    const PerlIOl *layer;
    int i;

    FOR_EACH_SLOT (table, i)
        for (layer = table[i].next; layer; layer = layer->next)
            if (!layer->tab
                || (layer->tab->Read != PerlIO_unix.Read && layer->tab != &PerlIO_perlio
                    && layer->tab != &PerlIO_crlf)
                || (layer->flags & (PERLIO_F_WRBUF | PERLIO_F_RDBUF)))
                return 0;
    return 1;
}

static void S_flush_all(pTHX_ void *unused)
{
    PERL_UNUSED_VAR(unused);
    PERL_FLUSHALL_FOR_CHILD;
}

int perlxs_flush_all(perlxs_interp *interp, SV **error)
{
    dINTERP;
    return S_output_is_idle(aTHX) ? PERLXS_OK : S_guard(aTHX_ S_flush_all, NULL, error);
}

#ifndef ENV_LOCK /* perls before 5.32 */
#define ENV_LOCK NOOP
#define ENV_UNLOCK NOOP
#define ENV_INIT NOOP
#endif

/* How many threads hold two locks that perl's fork leaves out, or wait for one: that of the
 * environment, which localtime takes too, and that of the hints that each scope refers to. */
static long S_hold_ours;

/* In a copy of the process, where those threads are not. Whoever made it, and whoever held them: a
 * lock that is held is no use to anybody there. */
static void S_free_ours(void)
{
    if (S_hold_ours) {
        S_hold_ours = 0;
        ENV_INIT;
#ifdef USE_ITHREADS
        MUTEX_INIT(&PL_hints_mutex);
#endif
    }
}

/* They come before those of fork, since fork(3) itself takes those; so a thread that waits for
 * fork's is copied, by the fork of another, with ours held: S_free_ours is for that, too. */
static void S_lock_ours(pTHX)
{
    static int registered;

    /* what each copy would have to make for itself, as perlxs_main_run does */
    if (!PL_curstackinfo->si_next)
        ALLOCATING(dSP; PUSHSTACKi(PERLSI_UNKNOWN); POPSTACK);
    __atomic_add_fetch(&S_hold_ours, 1, __ATOMIC_SEQ_CST);
    ENV_LOCK;
#ifdef USE_ITHREADS
    MUTEX_LOCK(&PL_hints_mutex);
#endif
    /* after those of perl, which its main registers: so it runs when these are free */
    if (!registered)
        registered = pthread_atfork(NULL, NULL, S_free_ours) == 0;
}

static void S_unlock_ours(pTHX)
{
#ifdef USE_ITHREADS
    MUTEX_UNLOCK(&PL_hints_mutex);
#endif
    ENV_UNLOCK;
    __atomic_sub_fetch(&S_hold_ours, 1, __ATOMIC_SEQ_CST);
}

void perlxs_fork_lock(perlxs_interp *interp)
{
    dINTERP;

    S_lock_ours(aTHX);
    Perl_atfork_lock();
}

void perlxs_fork_unlock(perlxs_interp *interp, int in_copy)
{
    dINTERP;

    Perl_atfork_unlock();
    if (in_copy)
        S_free_ours();
    else
        S_unlock_ours(aTHX);
}

pid_t perlxs_fork(perlxs_interp *interp)
{
    dINTERP;
    pid_t pid;

    S_lock_ours(aTHX);
    pid = my_fork();
    if (pid == 0)
        Perl_atfork_lock(); /* as in any other copy */
    else
        S_unlock_ours(aTHX);
    return pid;
}

void perlxs_forget_signals(perlxs_interp *interp)
{
    dINTERP;
    int sig;

    /* only what is set is written: each page that a copy writes to costs it time */
    if (PL_sig_pending)
        PL_sig_pending = 0;
    if (PL_psig_pend)
        for (sig = 1; sig < SIG_SIZE; sig++)
            if (PL_psig_pend[sig])
                PL_psig_pend[sig] = 0;
}
