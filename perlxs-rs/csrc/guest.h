/* A guest: a process that shares this one's memory while this one sleeps. What is noted of it. */

/* Where the interpreter stood. perl's own stacks may move when they grow: hence offsets. */
struct perlxs_shared {
    /* what unwinding needs */
    PERL_SI *si;
    AV *mainstack;
    JMPENV *top_env;
    SSize_t tmps_ix;
    SSize_t tmps_floor;
    ptrdiff_t mark;
    ANY *savestack;
    I32 savestack_ix;
    I32 savestack_max;
    I32 *scopestack;
    I32 scopestack_ix;
    I32 scopestack_max;
    const char **scopestack_name; /* perls with -DDEBUGGING have it */
    /* what is simply put back */
    OP *op;
    COP *curcop;
    PMOP *curpm;
    PAD *comppad;
    SV **curpad;
    OP *restartop;
    JMPENV *restartjmpenv;
    I32 statusvalue;
    I32 statusvalue_posix;
    U32 in_eval;
    U32 exit_flags;
    U32 localizing;
    U32 delaymagic;
    bool tainted;
    int sig_pending;
    int psig_pend[SIG_SIZE];
    int leaving;
    const sigset_t *mask;
    perlxs_call *call;
    runops_proc_t runops;
    despatch_signals_proc_t signalhook; /* this process's own, whoever lets signals wait */
    despatch_signals_proc_t before;     /* PL_signalhook */
    SV *psig_ptr[SIG_SIZE];
    SV *handlers[SIG_SIZE]; /* what they held, or NULL */
    struct saved_signal *sig; /* of %SIG what is defined */
    size_t nsig;
    /* handles: guest_handles.c, guest_io.c */
    int is_parted;
    struct aside *aside;
    size_t naside;
    size_t nfreed; /* the guest's layers of how many */
    struct noted_io *ios;
    size_t nios;
    size_t room;
    AV *fdpid;
    SV *last_in;
    SV *statgv;
    SV *statname;
    GV *defout;
    Stat_t statcache;
    I32 laststatval;
    I32 laststype;
    /* what the C library keeps: guest_library.c */
    int databases[6];
    int in_library;
    int log;
    int log_type;
    struct sockaddr_storage log_peer;
    socklen_t log_len;
    const char *tzname[2];
    long timezone;
    /* of the other process, the guest */
    perlxs_interp *interp;
    perlxs_shared *host; /* what this process is a guest of itself */
    const char *stack_limit;
    int keeps_signals;
    struct sigaction *actions;    /* all of the host's, where the guest shares its table of them */
    int shares_files; /* the table of descriptors */
    volatile sig_atomic_t signal; /* one to die of */
    int state;                    /* FRESH, RUNNING or ABANDONED: see S_abandon */
    int32_t tid;                  /* cleared by the kernel when the guest lets go of the memory */
};

/* An element of %SIG, and what it held. */
struct saved_signal {
    SV *key;
    SV *element;
    SV *value;
};

enum { FRESH, RUNNING, ABANDONED };

/* The innermost that has been begun on this thread; NULL where none is. */
static __thread perlxs_shared *S_guest;
