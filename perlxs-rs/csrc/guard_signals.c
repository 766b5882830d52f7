/* Signal handlers that are not deferred. */

/* perl's handlers are deferred to its next safe point, but those of POSIX::sigaction without SAFE
 * are not, nor is any with PERL_SIGNALS=unsafe, and too many that wait are an exception. Each of
 * these could throw over a Rust frame. So what perl gives to the kernel are ours: while Rust runs
 * in the interpreter, the signal waits: for the next safe point, too, or the end of the call. */

static int S_is_fault(int signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL;
}

/* Threads that are not perl's, such as Rust may have started, may get a signal of the process: the
 * main one is to have it. A fault is the thread's own, and is its death. */
#ifdef MULTIPLICITY
#define S_IS_PERLS_THREAD (PERL_GET_CONTEXT != NULL)
#define S_SET_PERLS_THREAD NOOP
#else
static pthread_t S_thread;
#define S_IS_PERLS_THREAD pthread_equal(pthread_self(), S_thread)
#define S_SET_PERLS_THREAD (S_thread = pthread_self())
#endif

static void S_default(int signal)
{
    struct sigaction action;

    Zero(&action, 1, struct sigaction);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
}

static int S_is_passed_on(int signal)
{
    const int err = errno;
    const long process = syscall(SYS_getpid);

    if (LIKELY(S_IS_PERLS_THREAD))
        return 0;
    if (S_is_fault(signal))
        S_default(signal);
    else if (syscall(SYS_gettid) != process)
        syscall(SYS_tgkill, process, process, signal);
    errno = err;
    return 1;
}

/* Whether the signal has to wait. The instruction of a fault would be repeated for ever: what comes
 * twice in one call gets the default, death. */
static int S_waits(int signal, int is_deferred)
{
#ifdef MULTIPLICITY
    PerlInterpreter *const my_perl = (PerlInterpreter *)PERL_GET_CONTEXT;
#endif
    perlxs_interp *const interp = S_find_interp((void *)THIS_PERL);

    if (!interp || !interp->call || !PL_psig_pend)
        return 0;
    if (S_is_fault(signal)) {
        if (interp->fault == interp->call) {
            S_default(signal);
            return 1;
        }
        interp->fault = interp->call;
        interp->late = 1;
    }
    PL_psig_pend[signal]++;
    PL_sig_pending = 1;
    if (!is_deferred || (PL_signals & PERL_SIGNALS_UNSAFE_FLAG))
        interp->late = 1;
    return 1;
}

/* A handler that dies leaves others that wait, of which perl does not think any more. */
static void S_look_again(pTHX_ void *arg)
{
    int i;

    PERL_UNUSED_ARG(arg);
    for (i = 1; i < SIG_SIZE; i++)
        if (PL_psig_pend[i])
            PL_sig_pending = 1;
}

/* Those that were not to wait run now, unless Rust goes on. */
static void S_run_late(pTHX_ perlxs_interp *interp)
{
    if (!interp->call) {
        interp->late = 0;
        ENTER;
        SAVEDESTRUCTOR_X(S_look_again, NULL);
        PERL_ASYNC_CHECK();
        LEAVE;
    }
}

typedef void (*full_handler)(int, siginfo_t *, void *);
typedef void (*any_function)(void);

/* One for each of perl's handlers; those take one argument or three, as perl was built. */
#define HANDLER(name, is_deferred)                                                                 \
    static any_function S_perls_##name;                                                            \
    static void S_##name(int signal, siginfo_t *info, void *context)                               \
    {                                                                                              \
        if (!S_is_passed_on(signal) && !S_waits(signal, is_deferred))                              \
            ((full_handler)S_perls_##name)(signal, info, context);                                 \
    }

/* Which they are: that of %SIG and of SAFE, in the process, and that of the others, in the
 * interpreter. */
#if PERL_VERSION >= 32
#define FOR_EACH_HANDLER(do)                                                                       \
    do(csighandlerp, Sighandler_t) do(csighandler1p, Sighandler1_t)                                \
    do(csighandler3p, Sighandler3_t) do(sighandlerp, Sighandler_t)                                 \
    do(sighandler1p, Sighandler1_t) do(sighandler3p, Sighandler3_t)
#else
#define FOR_EACH_HANDLER(do) do(csighandlerp, Sighandler_t) do(sighandlerp, Sighandler_t)
#endif

#define DEFINE(name, type) HANDLER(name, #name[0] == 'c')
FOR_EACH_HANDLER(DEFINE)

/* With a first module of ours in this interpreter. Handlers that are installed are replaced; the
 * object stays in memory, since perl has pointers into it now. */
static void S_hook_signals(pTHX_ int is_clone)
{
    Dl_info here;
    int i;

    /* What ours stand before is found once: others, of other objects, may stand before ours
     * meanwhile, and would go on to ours for ever if ours went on to them. A clone has its
     * parent's. */
#define HOOK(name, type)                                                                           \
    if (!S_perls_##name) {                                                                         \
        S_perls_##name = (any_function)PL_##name;                                                  \
        PL_##name = (type)(any_function)S_##name;                                                  \
    }                                                                                              \
    else if (#name[0] != 'c' && !is_clone)                                                         \
        PL_##name = (type)(any_function)S_##name;
    S_SET_PERLS_THREAD;
    MUTEX_LOCK(&PL_perlio_mutex);
    if (!S_perls_csighandlerp && dladdr((void *)(any_function)S_hook_signals, &here))
        dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    FOR_EACH_HANDLER(HOOK)
    MUTEX_UNLOCK(&PL_perlio_mutex);
    for (i = 1; PL_psig_ptr && i < SIG_SIZE; i++) {
        struct sigaction now;

        if (!PL_psig_ptr[i] || !SvOK(PL_psig_ptr[i]) || sigaction(i, NULL, &now) != 0)
            continue;
#define REPLACE(name, type)                                                                        \
    if ((any_function)now.sa_handler == S_perls_##name) {                                          \
        now.sa_handler = (void (*)(int))(any_function)S_##name;                                    \
        sigaction(i, &now, NULL);                                                                  \
        continue;                                                                                  \
    }
        FOR_EACH_HANDLER(REPLACE)
    }
}
