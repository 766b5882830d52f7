/* A coderef as the main program of a process that is a copy. */

/* Flushes all output, as perl_destruct: a STDOUT that cannot be written is a failure. */
static int S_flush_status(pTHX_ int status)
{
    PerlIO *out;

    if (S_output_is_idle(aTHX))
        return status;
    out = PerlIO_stdout();
    if (PerlIO_fileno(out) >= 0 && PerlIO_flush(out) != 0) {
        PerlIO_printf(PerlIO_stderr(), "Unable to flush stdout: %s\n", Strerror(errno));
        if (status == 0)
            status = 255;
    }
    PERL_FLUSHALL_FOR_CHILD;
    return status;
}

/* Calls `code` as a main program: its value is the exit status. */
static int S_call_main(pTHX_ SV *code, const perlxs_start *start)
{
    dSP;
    SV *result;
    int status;

    if (start->mask)
        sigprocmask(SIG_SETMASK, start->mask, NULL);
    errno = start->err;
    if (start->sv) {
        sv_setiv_mg(start->sv, (IV)start->value);
        SPAGAIN;
        errno = start->err;
    }
    PUSHMARK(SP);
    call_sv(code, G_SCALAR);
    SPAGAIN;
    result = POPs;
    PUTBACK;
    SvGETMAGIC(result);
    status = SvOK(result) ? (int)(SvIV_nomg(result) & 0xff) : 0;
    return S_flush_status(aTHX_ status);
}

struct left {
    void (*on_exit)(void);
    int statusvalue;
    int statusvalue_posix;
};

/* On the savestack between the coderef's own scopes and the parent's, which would put back a
 * `local $?` of the caller, and close its handles. */
static void S_left(pTHX_ void *arg)
{
    struct left *const l = (struct left *)arg;

    l->statusvalue = PL_statusvalue;
    l->statusvalue_posix = PL_statusvalue_posix;
    if (l->on_exit)
        l->on_exit();
}

/* In a copy of a guest: the parent's handlers that a `local` of the guest's has put back, which are
 * the default there, are that here, too, where nobody is a guest who could tell. */
static void S_drop_parents_handlers(pTHX_ const perlxs_shared *s)
{
    struct sigaction now;
    int i;

    for (i = 1; i < SIG_SIZE; i++)
        if (S_is_parents(aTHX_ s, i) && sigaction(i, NULL, &now) == 0
            && now.sa_handler == (void (*)(int))(void (*)(void))S_sub_signal) {
            now.sa_handler = SIG_DFL;
            sigaction(i, &now, NULL);
        }
}

int perlxs_main_run(perlxs_interp *interp, SV *code, const perlxs_start *start,
                    void (*on_exit)(void), int *status)
{
    dINTERP;
    struct left left;
    int ret;
    dJMPENV;

    if (S_guest)
        S_drop_parents_handlers(aTHX_ S_guest);
    for (; S_guest; S_guest = S_guest->host) { /* a copy is nobody's guest */
        PL_runops = S_guest->runops;
        PL_signalhook = S_guest->signalhook;
    }
    SvREFCNT_inc_simple_void_NN(code); /* the coderef may undefine itself */
    PL_in_eval = EVAL_NULL;            /* the evals around us are the parent's */
    interp->mask = NULL;
    interp->call = NULL;
    left.on_exit = on_exit;
    left.statusvalue = 255;
    left.statusvalue_posix = 255 << 8;
    JMPENV_PUSH(ret);
    if (ret == 0) {
        dSP;

        PUSHSTACKi(PERLSI_UNKNOWN);
        PUTBACK;
        ENTER;
        SAVETMPS;
        SAVEDESTRUCTOR_X(S_left, &left);
        *status = S_call_main(aTHX_ code, start);
    }
    JMPENV_POP;
    if (ret == 0)
        return PERLXS_OK;
    PL_statusvalue = left.statusvalue;
    PL_statusvalue_posix = left.statusvalue_posix;
    return PERLXS_EXIT;
}

int perlxs_main_end(perlxs_interp *interp)
{
    dINTERP;
    volatile int status = 0;
    int ret;
    dJMPENV;

    JMPENV_PUSH(ret);
    if (ret == 0 && PL_phase == PERL_PHASE_DESTRUCT) {
        /* the process was copied in global destruction: an exit there ends perl at once */
        PERL_FLUSHALL_FOR_CHILD;
        status = STATUS_EXIT;
    }
    else if (ret == 0) {
        while (PL_scopestack_ix > 1)
            LEAVE;
        FREETMPS;
        /* END blocks now, whoever hosts this perl; objects destroyed; memory left to the kernel */
        PL_exit_flags |= PERL_EXIT_DESTRUCT_END;
        PL_perl_destruct_level = 0;
        status = perl_destruct(THIS_PERL);
    }
    else
        status = STATUS_EXIT; /* a destructor exited */
    JMPENV_POP;
    return status;
}
