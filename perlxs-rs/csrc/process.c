/* What comes around a fork and before an exec. */

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

/* Whether a flush would do nothing: no handle has anything in its buffer. What is not known to
 * be idle is not. */
static int S_output_is_idle(pTHX)
{
    const PerlIOl *table;
    const PerlIOl *layer;
    int i;

    for (table = PL_perlio; table; table = (const PerlIOl *)table->next)
        for (i = 1; i < PERLIO_TABLE_SIZE; i++)
            for (layer = table[i].next; layer; layer = layer->next)
                if ((layer->tab != &PerlIO_unix && layer->tab != &PerlIO_perlio
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
#endif

/* Those that perl takes for its fork, and two more: of the environment, which localtime takes too,
 * and of the hints that each scope refers to. They come last, since a thread that waits for fork's
 * locks is copied with those that it holds; whoever holds one of the two takes none of perl's but
 * its malloc's, if it has one. */
void perlxs_fork_lock(perlxs_interp *interp)
{
    dINTERP;

    /* what each copy would have to make for itself, as perlxs_main_run does */
    if (!PL_curstackinfo->si_next)
        ALLOCATING(dSP; PUSHSTACKi(PERLSI_UNKNOWN); POPSTACK);
    Perl_atfork_lock();
    ENV_LOCK;
#ifdef USE_ITHREADS
    MUTEX_LOCK(&PL_hints_mutex);
#endif
}

void perlxs_fork_unlock(perlxs_interp *interp, int in_copy)
{
    dINTERP;

    PERL_UNUSED_VAR(in_copy);
#ifdef USE_ITHREADS
    MUTEX_UNLOCK(&PL_hints_mutex);
#endif
#ifdef PERL_RW_MUTEX_INIT
    if (in_copy) /* nobody waits there, whatever the condition variable says that was copied */
        COND_INIT(&PL_env_mutex.wakeup);
#endif
    ENV_UNLOCK;
    Perl_atfork_unlock();
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
