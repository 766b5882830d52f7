/* The signals of a guest, and whose a handler is. */

/* A guest that stops between two instructions leaves perl's structures half changed, and they
 * are its parent's. SIGKILL may do that; other signals, and a stack that is used up, must not:
 * their default, death, comes where perl is consistent. */

/* Old C libraries keep the process id in the thread's struct, which is the parent's, too. */
static pid_t S_getpid(void)
{
    return (pid_t)syscall(SYS_getpid);
}

static void S_die_of(int signal)
{
    struct sigaction action;
    sigset_t set;

    if (S_guest && S_guest->keeps_signals)
        kill(S_getpid(), SIGKILL); /* the table of handlers is the parent's too */
    Zero(&action, 1, struct sigaction);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, signal);
    kill(S_getpid(), signal);
    /* here it ends, but for process 1 of a namespace, which ignores it by default */
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* The handler of signals whose default is death. */
static void S_guest_signal(int signal)
{
    perlxs_shared *const s = S_guest;

    if (s && s->state == RUNNING) {
#ifdef MULTIPLICITY
        PerlInterpreter *const my_perl = (PerlInterpreter *)s->interp->perl;
#endif
        /* these do not look at signals again, and change nothing while they wait */
        const OPCODE op = PL_op ? PL_op->op_type : OP_NULL;

        if (op != OP_SLEEP && op != OP_SSELECT) {
            s->signal = signal;
            PL_sig_pending = 1;
            return;
        }
    }
    S_die_of(signal);
}

/* What perl installs for a handler that is a sub (PL_csighandlerp), while there are guests. A
 * guest's own is perl's affair; one that `local` puts back is the parent's, and must not run. */
static Sighandler_t S_perl_handler;
static int S_guests;

static int S_same_handler(SV *a, SV *b)
{
    if (!a || !b)
        return a == b;
    if (isGV_with_GP(a) || isGV_with_GP(b))
        return isGV_with_GP(a) && isGV_with_GP(b) && GvGP(a) == GvGP(b);
    if (SvROK(a) || SvROK(b))
        return SvROK(a) && SvROK(b) && SvRV(a) == SvRV(b);
    return SvPOK(a) && SvPOK(b) && SvCUR(a) == SvCUR(b)
           && memEQ(SvPVX_const(a), SvPVX_const(b), SvCUR(a));
}

/* Whether perl's handler of a signal is the one that the guest has found. */
static int S_is_parents(pTHX_ const perlxs_shared *s, int signal)
{
    return PL_psig_ptr && s->handlers[signal]
           && S_same_handler(PL_psig_ptr[signal], s->handlers[signal]);
}

static void S_sub_signal(int signal, siginfo_t *info, void *context)
{
    perlxs_shared *const s = S_guest;

    if (s && s->state == RUNNING) {
#ifdef MULTIPLICITY
        PerlInterpreter *const my_perl = (PerlInterpreter *)s->interp->perl;
#endif
        if (S_is_parents(aTHX_ s, signal)) {
            switch (signal) {
            case SIGCHLD: case SIGURG: case SIGWINCH: case SIGCONT:
                return; /* the default is to ignore it */
            default:
                S_guest_signal(signal);
                return;
            }
        }
    }
    /* it takes one argument or three, as perl was built */
    ((void (*)(int, siginfo_t *, void *))(void (*)(void))S_perl_handler)(signal, info, context);
}

/* Both under PL_perlio_mutex, since all threads share what they change; a copy of the process finds
 * that one free. */
static void S_hook_handlers(void)
{
    if (S_guests++ == 0) {
        S_perl_handler = PL_csighandlerp;
        PL_csighandlerp = (Sighandler_t)(void (*)(void))S_sub_signal;
    }
}

static void S_unhook_handlers(void)
{
    if (--S_guests == 0)
        PL_csighandlerp = S_perl_handler;
}

/* What a scalar holds, without asking its magic. */
static SV *S_content(pTHX_ SV *sv)
{
    SV *const copy = newSV(0);

    sv_setsv_flags(copy, sv, 0);
    return copy;
}

/* For all elements of a hash; the hash's own iterator is its owner's. */
#define FOR_EACH_ELEMENT(hv, i, entry)                                                             \
    for (i = 0; HvARRAY(hv) && i <= HvMAX(hv); i++)                                                \
        for (entry = HvARRAY(hv)[i]; entry; entry = HeNEXT(entry))

/* %SIG, to be put back: what it says must be what the kernel does in the parent. */
static void S_save_signals(pTHX_ perlxs_shared *s)
{
    HV *const sig = get_hv("SIG", GV_ADD);
    HE *entry;
    STRLEN n;
    int i;

    s->nsig = 0;
    Newx(s->sig, HvUSEDKEYS(sig) + 1, struct saved_signal);
    FOR_EACH_ELEMENT(sig, n, entry)
        if (SvOK(HeVAL(entry))) {
            s->sig[s->nsig].key = newSVhek(HeKEY_hek(entry));
            s->sig[s->nsig].element = SvREFCNT_inc_simple_NN(HeVAL(entry));
            s->sig[s->nsig].value = S_content(aTHX_ HeVAL(entry));
            s->nsig++;
        }
    for (i = 0; i < SIG_SIZE; i++) {
        s->psig_ptr[i] = PL_psig_ptr ? SvREFCNT_inc_simple(PL_psig_ptr[i]) : NULL;
        s->handlers[i] = s->psig_ptr[i] ? S_content(aTHX_ s->psig_ptr[i]) : NULL;
    }
}

static SV *S_saved_value(const perlxs_shared *s, const SV *element)
{
    size_t i;

    for (i = 0; i < s->nsig; i++)
        if (s->sig[i].element == element)
            return s->sig[i].value;
    return NULL;
}

/* Whether %SIG is not what it was. */
static int S_signals_differ(pTHX_ const perlxs_shared *s)
{
    HV *const sig = get_hv("SIG", GV_ADD);
    size_t defined = 0;
    HE *entry;
    STRLEN n;

    FOR_EACH_ELEMENT(sig, n, entry)
        if (SvOK(HeVAL(entry))) {
            SV *const value = S_saved_value(s, HeVAL(entry));

            if (!value || !S_same_handler(HeVAL(entry), value))
                return 1;
            defined++;
        }
    return defined != s->nsig;
}

/* Whom perl calls when a signal comes. A guest's handlers may have destructors: perl frees them
 * with its temporaries. */
static void S_restore_handlers(pTHX_ const perlxs_shared *s)
{
    int i;

    if (PL_psig_ptr)
        for (i = 0; i < SIG_SIZE; i++) {
            S_dec_later(aTHX_ PL_psig_ptr[i]);
            PL_psig_ptr[i] = SvREFCNT_inc_simple(s->psig_ptr[i]);
        }
}

/* Puts back what %SIG and perl's own table of handlers hold; the kernel's table is not touched. */
static void S_restore_signals(pTHX_ perlxs_shared *s, int differ)
{
    size_t n;
    int i;

    if (differ) {
        HV *const sig = get_hv("SIG", GV_ADD);
        HE *entry;
        STRLEN b;

        if (!mg_find((SV *)sig, PERL_MAGIC_tied)) {
            SvREADONLY_off(sig);
            for (n = 0; n < s->nsig; n++) /* what the guest has deleted */
                if (!hv_exists_ent(sig, s->sig[n].key, 0))
                    (void)hv_store_ent(sig, s->sig[n].key,
                                       SvREFCNT_inc_simple_NN(s->sig[n].element), 0);
        }
        FOR_EACH_ELEMENT(sig, b, entry) {
            SV *const element = HeVAL(entry);
            SV *const value = S_saved_value(s, element);

            if (value ? S_same_handler(element, value) : !SvOK(element))
                continue;
            sv_2mortal(S_content(aTHX_ element));
            SvREADONLY_off(element); /* the guest's doing, or it would be the same */
            sv_setsv(element, value ? value : &PL_sv_undef);
        }
        S_restore_handlers(aTHX_ s);
    }
    for (n = 0; n < s->nsig; n++) {
        SvREFCNT_dec_NN(s->sig[n].key);
        S_dec_later(aTHX_ s->sig[n].element);
        S_dec_later(aTHX_ s->sig[n].value);
    }
    Safefree(s->sig);
    for (i = 0; i < SIG_SIZE; i++) {
        S_dec_later(aTHX_ s->psig_ptr[i]);
        S_dec_later(aTHX_ s->handlers[i]);
    }
}

/* perl's safe points come here (PL_signalhook). */
static void S_guest_despatch(pTHX)
{
    perlxs_shared *const s = S_guest;

    if (s && s->signal) {
        const int signal = s->signal;

        s->signal = 0;
        S_die_of(signal);
    }
    if (s)
        s->signalhook(aTHX);
}

/* Who lets signals wait, and what PL_signalhook was before. */
static __thread struct {
    pid_t pid;
    despatch_signals_proc_t hook;
} S_waiting;

/* Signals wait; not in a copy that a destructor has made meanwhile. */
static void S_no_despatch(pTHX)
{
    if (S_getpid() != S_waiting.pid) {
        PL_signalhook = S_waiting.hook;
        PL_signalhook(aTHX);
    }
}

/* What the process does on each signal: SIG_SIZE elements, to be freed. */
static struct sigaction *S_actions(pTHX)
{
    struct sigaction *actions;
    int i;

    ALLOCATING(Newxz(actions, SIG_SIZE, struct sigaction));
    for (i = 1; i < SIG_SIZE; i++)
        sigaction(i, NULL, &actions[i]);
    return actions;
}

static int S_same_action(const struct sigaction *a, const struct sigaction *b)
{
    int i;

    for (i = 1; i < SIG_SIZE; i++)
        if (sigismember(&a->sa_mask, i) != sigismember(&b->sa_mask, i))
            return 0;
    return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags;
}

/* Those that are so already are left alone: to set the default for SIGCHLD, say, takes one away
 * that is blocked and waits. */
static void S_set_actions(struct sigaction *actions)
{
    struct sigaction now;
    int i;

    for (i = 1; i < SIG_SIZE; i++)
        if (sigaction(i, NULL, &now) == 0 && !S_same_action(&now, &actions[i]))
            sigaction(i, &actions[i], NULL);
    Safefree(actions);
}

/* Gives every handler that is a function its default. */
static void S_reset_handlers(void)
{
    struct sigaction guest, old;
    int signal;

    Zero(&guest, 1, struct sigaction);
    sigfillset(&guest.sa_mask);
    for (signal = 1; signal <= SIGRTMAX; signal++) {
        switch (signal) {
        case SIGHUP: case SIGINT: case SIGQUIT: case SIGUSR1: case SIGUSR2: case SIGPIPE:
        case SIGALRM: case SIGTERM: case SIGXCPU: case SIGXFSZ: case SIGVTALRM: case SIGPROF:
        case SIGIO: case SIGABRT:
#ifdef SIGSTKFLT
        case SIGSTKFLT:
#endif
#ifdef SIGPWR
        case SIGPWR:
#endif
        fatal:
            guest.sa_handler = S_guest_signal;
            if (sigaction(signal, &guest, &old) == 0 && old.sa_handler == SIG_IGN)
                sigaction(signal, &old, NULL);
            break;
        default:
            if (signal >= SIGRTMIN)
                goto fatal;
            guest.sa_handler = SIG_DFL;
            if (sigaction(signal, NULL, &old) == 0 && old.sa_handler != SIG_DFL
                && old.sa_handler != SIG_IGN)
                sigaction(signal, &guest, NULL);
        }
    }
}
