/* A guest's beginning, its run and its end. */

/* Asks the kernel to end this guest when its host, a guest itself, has ended: see S_abandon. By a
 * signal that waits for a place where perl is consistent, if it may use one. */
static void S_end_with_host(const perlxs_shared *s)
{
    if (s->host)
        prctl(PR_SET_PDEATHSIG, (unsigned long)(s->keeps_signals ? SIGKILL : SIGRTMAX));
}

/* A guest's exec op, PL_op. */
static OP *S_guest_exec(pTHX_ const perlxs_shared *s)
{
    OP *next;

    PERL_ASYNC_CHECK(); /* the last moment to die of a signal that has come before it */
    if (s->host)
        prctl(PR_SET_PDEATHSIG, 0UL); /* of a guest's, not of the program's */
    next = PL_op->op_ppaddr(aTHX);
    S_end_with_host(s);
    return next;
}

/* All recursion of perl on the C stack (sort, tie, overloading, require) comes through here
 * (PL_runops). */
static int S_guest_runops(pTHX)
{
    perlxs_shared *const s = S_guest;
    const char here = 0;
    OP *op = PL_op;

    if (!s)
        return Perl_runops_standard(aTHX);
    if (&here < s->stack_limit)
        S_die_of(SIGSEGV);
    /* a debugger's or a profiler's; that of perls with -DDEBUGGING differs under -D only */
    if (s->runops != Perl_runops_standard && (s->runops != Perl_runops_debug || PL_debug))
        return s->runops(aTHX);
    do
        switch (op->op_type) {
        case OP_EXEC:
            PL_op = op = S_guest_exec(aTHX_ s);
            break;
        CASE_OF_DATABASES:
            PL_op = op = S_guest_database(aTHX_ s);
            break;
        CASE_OF_HANDLES:
            PL_op = op = S_guest_io(aTHX_ s);
            break;
        default:
            PL_op = op = op->op_ppaddr(aTHX);
        }
    while (op);
    PERL_ASYNC_CHECK();
    TAINT_NOT;
    return 0;
}

#define SCOPES 64
#define SAVES 256 /* room for SS_MAXPUSH more than is counted */

perlxs_shared *perlxs_shared_begin(perlxs_interp *interp, int shares_files)
{
    dINTERP;
    perlxs_shared *s;

    ALLOCATING(Newx(s, 1, perlxs_shared));
    s->si = PL_curstackinfo;
    s->mainstack = PL_mainstack;
    s->top_env = PL_top_env;
    s->tmps_ix = PL_tmps_ix;
    s->tmps_floor = PL_tmps_floor;
    s->mark = PL_markstack_ptr - PL_markstack;
    s->savestack = PL_savestack;
    s->savestack_ix = PL_savestack_ix;
    s->savestack_max = PL_savestack_max;
    s->scopestack = PL_scopestack;
    s->scopestack_ix = PL_scopestack_ix;
    s->scopestack_max = PL_scopestack_max;
    s->scopestack_name = PL_scopestack_name;
    s->op = PL_op;
    s->curcop = PL_curcop;
    s->curpm = PL_curpm;
    s->comppad = PL_comppad;
    s->curpad = PL_curpad;
    s->restartop = PL_restartop;
    s->restartjmpenv = PL_restartjmpenv;
    s->statusvalue = PL_statusvalue;
    s->statusvalue_posix = PL_statusvalue_posix;
    s->in_eval = PL_in_eval;
    s->exit_flags = PL_exit_flags;
    s->localizing = PL_localizing;
    s->delaymagic = PL_delaymagic;
    s->tainted = TAINT_get;
    s->leaving = interp->leaving;
    s->mask = interp->mask;
    s->call = interp->call;
    s->sig_pending = PL_sig_pending;
    if (PL_psig_pend)
        Copy(PL_psig_pend, s->psig_pend, SIG_SIZE, int);
    else
        Zero(s->psig_pend, SIG_SIZE, int);
    perlxs_forget_signals(interp);
    s->runops = S_guest ? S_guest->runops : PL_runops;
    s->before = PL_signalhook;
    s->signalhook = S_guest ? S_guest->signalhook
                    : PL_signalhook == S_no_despatch ? S_waiting.hook : PL_signalhook;
    s->interp = interp;
    s->host = S_guest;
    s->signal = 0;
    s->keeps_signals = 0;
    s->actions = NULL;
    s->shares_files = shares_files;
    s->state = FRESH;
    s->tid = 1;
    ALLOCATING(S_save_signals(aTHX_ s));
    MUTEX_LOCK(&PL_perlio_mutex);
    S_hook_handlers();
    MUTEX_UNLOCK(&PL_perlio_mutex);
    s->is_parted = 0;
    s->aside = NULL;
    s->ios = NULL;
    s->naside = s->nfreed = s->nios = s->room = 0;
    s->fdpid = NULL;
    S_forget_library(s);
    ALLOCATING(S_keep_io_state(aTHX_ s); if (!shares_files) S_part_handles(aTHX_ s));
    s->tzname[0] = tzname[0];
    s->tzname[1] = tzname[1];
    s->timezone = timezone;

    /* the other process's stacks: exit unwinds to the bottom of each, which is its own */
    ALLOCATING(Newx(PL_savestack, SAVES, ANY); Newx(PL_scopestack, SCOPES, I32);
               if (PL_scopestack_name) Newx(PL_scopestack_name, SCOPES, const char *));
    PL_savestack_ix = 0;
    PL_savestack_max = SAVES - SS_MAXPUSH;
    PL_scopestack_ix = 0;
    PL_scopestack_max = SCOPES;
    S_guest = s;
    return s;
}

int perlxs_shared_run(perlxs_interp *interp, perlxs_shared *s, SV *code,
                      const perlxs_start *start, const void *stack_limit)
{
    dINTERP;
    volatile int status = 0;
    int ret;
    dJMPENV;

    s->keeps_signals = !start->mask;
    S_end_with_host(s);
    if (!__sync_bool_compare_and_swap(&s->state, FRESH, RUNNING))
        _exit(255);
    interp->mask = NULL;
    interp->call = NULL;
    s->stack_limit = (const char *)stack_limit;
    if (s->keeps_signals)
        s->actions = S_actions(aTHX);
    PL_runops = S_guest_runops;
    if (start->mask) {
        PL_signalhook = S_guest_despatch;
        S_reset_handlers();
    }
    PL_in_eval = EVAL_NULL; /* the evals around us are the parent's */
    ALLOCATING(dSP; PUSHSTACKi(PERLSI_UNKNOWN); PUTBACK; PL_mainstack = PL_curstack; ENTER;
               SAVETMPS);
    JMPENV_PUSH(ret);
    if (ret == 0) {
        SV *const error = ERRSV;

        save_scalar(PL_errgv); /* $@ is the parent's */
        sv_setsv(ERRSV, error);
        SvREFCNT_inc_simple_void_NN(code); /* the coderef may undefine itself */
        SAVEFREESV(code);
        status = S_call_main(aTHX_ code, start);
    }
    else
        status = S_flush_status(aTHX_ STATUS_EXIT);
    JMPENV_POP;
    if (s->signal)
        S_die_of(s->signal);
    return status;
}

/* How far the unwinding is from its end. */
struct distance {
    size_t handles;
    SSize_t infos;
    I32 contexts;
    I32 saves;
    SSize_t tmps;
};

/* The parent's stacks cannot be had again: it is no perl any more. */
static void S_give_up(void)
{
    static const char text[]
        = "perlxs: a child that shared this process's memory has ended where its parent cannot go "
          "on (in another coroutine?)\n";

    if (write(2, text, sizeof(text) - 1) < 0)
        abort();
    abort();
}

static struct distance S_distance(pTHX_ const perlxs_shared *s)
{
    struct distance d = { 0, 0, 0, 0, 0 };
    const PERL_SI *si;

    for (si = PL_curstackinfo; si != s->si; si = si->si_prev) {
        if (!si)
            S_give_up();
        d.infos++;
    }
    d.handles = s->naside - s->nfreed + s->nios;
    d.contexts = cxstack_ix;
    d.saves = PL_savestack_ix;
    d.tmps = PL_tmps_ix;
    return d;
}

static int S_is_nearer(struct distance a, struct distance b)
{
    if (a.handles != b.handles)
        return a.handles < b.handles;
    if (a.infos != b.infos)
        return a.infos < b.infos;
    if (a.contexts != b.contexts)
        return a.contexts < b.contexts;
    return a.saves != b.saves ? a.saves < b.saves : a.tmps < b.tmps;
}

/* What is left of the other process's stacks; in one that has been killed, anything. */
static void S_shared_unwind(pTHX_ perlxs_shared *s)
{
    while (PL_curstackinfo != s->si && PL_curstack != PL_mainstack) {
        dounwind(-1);
        POPSTACK;
    }
    if (PL_curstackinfo != s->si)
        dounwind(-1);
    LEAVE_SCOPE(0);
    PL_scopestack_ix = 0;
    PL_tmps_floor = s->tmps_ix;
    FREETMPS;
    if (PL_curstackinfo != s->si)
        POPSTACK;
}

/* A guest of a guest that was killed: it may run yet. Its own host being dead, it is told to end,
 * and the kernel tells when it has let go of the memory; if it has not run yet, it never will. */
static void S_abandon(perlxs_shared *s)
{
    int32_t tid;

    if (__sync_bool_compare_and_swap(&s->state, FRESH, ABANDONED))
        return;
    while ((tid = __atomic_load_n(&s->tid, __ATOMIC_ACQUIRE)) != 0)
        syscall(SYS_futex, &s->tid, FUTEX_WAIT, tid, NULL);
}

static int S_shared_end(pTHX_ perlxs_shared *s)
{
    perlxs_interp *const interp = s->interp;
    volatile int exited = 0;
    volatile int stuck = 0;
    volatile struct distance left = S_distance(aTHX_ s);
    struct sigaction *volatile actions = s->actions;
    const int differ = S_signals_differ(aTHX_ s);
    int ret;
    dJMPENV;

    S_guest = s->host;
    if (!S_guest)
        PL_runops = s->runops;
    /* The other process's signals are gone with it. What comes from here on is ours, but has to
     * wait: to leave a handler unblocks its signal, and to leave a `local $SIG{...}` looks for
     * signals before the handler is put back. */
    S_waiting.pid = S_getpid();
    S_waiting.hook = S_guest ? S_guest_despatch : s->signalhook;
    PL_signalhook = S_no_despatch;
    PL_exit_flags &= ~PERL_EXIT_EXPECTED;
    /* A `local $SIG{...}` that is left reaches the kernel. Where the table was the guest's, too,
     * all that it did has: `$SIG{...}`, and exec, which makes SIGFPE what it was before perl. */
    if (differ && !actions)
        actions = S_actions(aTHX);
    PL_sig_pending = s->sig_pending;
    if (PL_psig_pend)
        Copy(s->psig_pend, PL_psig_pend, SIG_SIZE, int);
    PL_top_env = s->top_env;
    PL_op = s->op;
    PL_curcop = s->curcop;
    PL_restartop = NULL;
    PL_in_eval = EVAL_NULL;
    interp->leaving = 0;
    interp->call = NULL;
    JMPENV_PUSH(ret);
    /* What throws meanwhile (a destructor that exits, a tied variable that dies when its value is
     * put back) comes here, as from a main program: the exception has been printed. Only exit
     * says that it is one. The rest goes on, if it gets on: who throws twice from the same place
     * would do so for ever. */
    if (ret != 0) {
        const struct distance now = S_distance(aTHX_ s);

        if (PL_exit_flags & PERL_EXIT_EXPECTED)
            exited = 1;
        if (S_is_nearer(now, left)) {
            left = now;
            stuck = 0;
        }
        else if (stuck++)
            S_give_up();
    }
    else if (differ)
        S_restore_handlers(aTHX_ s); /* for signals that perl does not defer */
    S_settle_library(s);
    S_join_handles(aTHX_ s);
    S_shared_unwind(aTHX_ s);
    S_drop_guests_handles(aTHX_ s);
    JMPENV_POP;
    if (timezone != s->timezone || tzname[0] != s->tzname[0] || tzname[1] != s->tzname[1])
        tzset();
    if (actions)
        S_set_actions(actions);
    ALLOCATING(S_restore_signals(aTHX_ s, differ));
    MUTEX_LOCK(&PL_perlio_mutex);
    S_unhook_handlers();
    MUTEX_UNLOCK(&PL_perlio_mutex);
    PL_signalhook = s->before;
#if PERL_VERSION < 28
    /* an exec that went well has not come back to free them */
    Safefree(PL_Argv);
    PL_Argv = NULL;
    Safefree(PL_Cmd);
    PL_Cmd = NULL;
#endif

    Safefree(PL_savestack);
    Safefree(PL_scopestack);
    Safefree(PL_scopestack_name);
    PL_scopestack_name = s->scopestack_name;
    PL_mainstack = s->mainstack;
    PL_tmps_floor = s->tmps_floor;
    PL_markstack_ptr = PL_markstack + s->mark;
    PL_savestack = s->savestack;
    PL_savestack_ix = s->savestack_ix;
    PL_savestack_max = s->savestack_max;
    PL_scopestack = s->scopestack;
    PL_scopestack_ix = s->scopestack_ix;
    PL_scopestack_max = s->scopestack_max;
    PL_op = s->op;
    PL_curcop = s->curcop;
    PL_curpm = s->curpm;
    PL_comppad = s->comppad;
    PL_curpad = s->curpad;
    PL_restartop = s->restartop;
    PL_restartjmpenv = s->restartjmpenv;
    PL_in_eval = s->in_eval;
    PL_localizing = s->localizing;
    PL_delaymagic = s->delaymagic;
    TAINT_set(s->tainted);
    if (!exited) {
        PL_statusvalue = s->statusvalue;
        PL_statusvalue_posix = s->statusvalue_posix;
        PL_exit_flags = s->exit_flags;
    }
    interp->leaving = exited ? 2 : s->leaving;
    interp->mask = s->mask;
    interp->call = s->call;
    Safefree(s->aside);
    Safefree(s->ios);
    Safefree(s);
    return exited ? PERLXS_EXIT : PERLXS_OK;
}

int perlxs_shared_end(perlxs_interp *interp, perlxs_shared *s)
{
    dINTERP;
    int status = PERLXS_OK;
    perlxs_shared *inner;

    for (inner = S_guest; inner != s; inner = inner->host)
        S_abandon(inner);
    while (S_guest != s)
        if (S_shared_end(aTHX_ S_guest) == PERLXS_EXIT)
            status = PERLXS_EXIT;
    return S_shared_end(aTHX_ s) == PERLXS_EXIT ? PERLXS_EXIT : status;
}

void perlxs_shared_unshare_files(perlxs_interp *interp)
{
    dINTERP;

    if (S_guest && S_guest->shares_files && S_guest->state == RUNNING)
        ALLOCATING(S_part_handles(aTHX_ S_guest));
}

int perlxs_shared_is_nested(perlxs_shared *s)
{
    return s->host != NULL;
}

int32_t *perlxs_shared_tid(perlxs_shared *s)
{
    return &s->tid;
}
