/* Containment: what perl throws goes no further than a jump frame of ours. */

#ifdef MULTIPLICITY
#define dINTERP                                                                                    \
    PerlInterpreter *const my_perl PERL_UNUSED_DECL = (PerlInterpreter *)interp->perl
#define THIS_PERL aTHX
#else
#define dINTERP PERL_UNUSED_VAR(interp)
#define THIS_PERL PL_curinterp
#endif

/* perls before 5.24 have only the slow way to set an XSUB's target */
#ifndef TARGi
#define TARGi(i, do_taint) sv_setiv_mg(TARG, i)
#define TARGu(u, do_taint) sv_setuv_mg(TARG, u)
#define TARGn(n, do_taint) sv_setnv_mg(TARG, n)
#endif

#ifndef G_LIST
#define G_LIST G_ARRAY /* before perl 5.36 */
#endif

/* For what throws only for want of memory. Perl exits then, by a longjmp, which must not cross the
 * Rust frames above: the process ends here, as it does when Rust is out of memory. */
#define ALLOCATING(...)                                                                            \
    STMT_START {                                                                                   \
        int out_of_memory;                                                                         \
        dJMPENV;                                                                                   \
        JMPENV_PUSH(out_of_memory);                                                                \
        if (out_of_memory)                                                                         \
            abort();                                                                               \
        __VA_ARGS__;                                                                               \
        JMPENV_POP;                                                                                \
    } STMT_END

/* Where perl keeps our pointer for each interpreter. A new thread's has that of the one it was
 * cloned from, until it comes here. */
#ifdef MULTIPLICITY
#define MY_CXT_KEY "perlxs"
typedef struct {
    perlxs_interp *interp;
} my_cxt_t;
START_MY_CXT
#define S_SLOT (*(perlxs_interp **)(void *)&PL_my_cxt_list[MY_CXT_INDEX])
#else
static perlxs_interp *S_slot;
#define S_SLOT S_slot
#endif

/* All that there have been. They are never freed: whoever has a pointer to one may ask at any time
 * whether it lives. */
static perlxs_interp *S_interps;

/* That of a PerlInterpreter, or NULL. For signal handlers, too. */
static perlxs_interp *S_find_interp(const void *perl)
{
    perlxs_interp *interp = __atomic_load_n(&S_interps, __ATOMIC_ACQUIRE);

    while (interp && interp->perl != perl)
        interp = interp->next;
    return interp;
}

/* perl is done with all code of its own, and with its objects. A clone has been given the same
 * order for that of another. */
static void S_interp_ends(pTHX_ void *arg)
{
    perlxs_interp *const interp = (perlxs_interp *)arg;

    if (interp->perl == (void *)THIS_PERL) {
        interp->perl = NULL;
        SvREFCNT_dec(interp->guard_cv);
        interp->guard_cv = NULL;
    }
}

static void S_hook_signals(pTHX_ int is_clone);

static perlxs_interp *S_new_interp(pTHX)
{
#ifdef MULTIPLICITY
    const int is_clone = S_SLOT != NULL;
#else
    const int is_clone = 0;
#endif
    perlxs_interp *interp;

    if (PL_exitlistlen < 0)
        return NULL; /* perl is at its end */
    Newxz(interp, 1, perlxs_interp);
    call_atexit(S_interp_ends, interp);
    interp->perl = (void *)THIS_PERL;
    S_SLOT = interp;
    S_hook_signals(aTHX_ is_clone);
    interp->next = __atomic_load_n(&S_interps, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&S_interps, &interp->next, interp, 1, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        NOOP;
    return interp;
}

/* For what perl calls; it may throw, the first time in an interpreter. */
PERL_STATIC_INLINE perlxs_interp *S_interp(pTHX)
{
    perlxs_interp *interp = S_SLOT;

    if (UNLIKELY(!interp || interp->perl != (void *)THIS_PERL)) {
        interp = S_new_interp(aTHX);
        if (!interp)
            croak("perl is at its end");
    }
    return interp;
}

PERL_STATIC_INLINE void S_dec_later(pTHX_ SV *sv);

/* A string that is lent: whose it is, counted. */
struct perlxs_lent {
    SV *sv;      /* NULL: a free place */
    int is_ours; /* perl does not know it */
};

#ifndef SVppv_STATIC /* before perl 5.36 */
#define SVppv_STATIC 0
#endif

/* How a string has its buffer: shared, static, with an offset. */
#define S_BUFFER (SVf_OOK | SVf_IsCOW | SVppv_STATIC)

/* Gives the buffer of a string to a scalar of our own, and its owner a copy, with which anybody may
 * do what he likes. */
static SV *S_part_string(pTHX_ SV *sv)
{
    SV *const keeper = newSV_type(SVt_PVIV);

    SvPV_set(keeper, SvPVX(sv));
    SvCUR_set(keeper, SvCUR(sv));
    SvLEN_set(keeper, SvLEN(sv));
    SvPOK_only(keeper);
    SvFLAGS(keeper) |= SvFLAGS(sv) & S_BUFFER;
    SvPV_set(sv, savepvn(SvPVX_const(keeper), SvCUR(keeper)));
    SvLEN_set(sv, SvCUR(keeper) + 1);
    SvFLAGS(sv) &= ~S_BUFFER;
    return keeper;
}

/* Before anything runs or is assigned that could change strings that are lent. */
static void S_part_strings(pTHX_ perlxs_interp *interp)
{
    volatile size_t i;

    for (i = 0; i < interp->places; i++) {
        struct perlxs_lent *const lent = &interp->lent[i];

        if (lent->sv && !lent->is_ours) {
            SV *const sv = lent->sv;

            ALLOCATING(lent->sv = S_part_string(aTHX_ sv));
            lent->is_ours = 1;
            S_dec_later(aTHX_ sv);
        }
    }
    interp->exposed = 0;
}

/* Keeps what Rust has borrowed as it is: the arguments of the innermost call until it has returned,
 * since perl's stack holds no references; strings. Before anything runs or is freed that could free
 * or change one. */
static void S_keep_borrowed(pTHX_ perlxs_interp *interp)
{
    perlxs_call *const call = interp->call;
    SV **held;
    size_t i;

    if (UNLIKELY(interp->exposed))
        S_part_strings(aTHX_ interp);
    if (!call || call->held || call->nargs == 0)
        return;
    held = call->room;
    if (call->nargs > C_ARRAY_LENGTH(call->room))
        ALLOCATING(Newx(held, call->nargs, SV *));
    for (i = 0; i < call->nargs; i++)
        held[i] = SvREFCNT_inc_simple_NN(call->args[i]);
    call->args = call->held = held;
}

typedef void (*guarded)(pTHX_ void *);

struct guard {
    guarded fn;
    void *arg;
    int done;
    bool tainted; /* something tainted has been read, by fn or before it */
};

static XSPROTO(S_guard_xsub)
{
    dXSARGS;
    perlxs_interp *const interp = S_interp(aTHX);
    struct guard *const g = (struct guard *)interp->guard;

    PERL_UNUSED_VAR(items);
    interp->call = NULL; /* from here on handlers need not wait */
    g->fn(aTHX_ g->arg);
    if (TAINT_get)
        g->tainted = TRUE;
    g->done = 1;
    XSRETURN_EMPTY;
}

/* Whether nothing of perl may run now. */
PERL_STATIC_INLINE int S_may_not_run(pTHX_ const perlxs_interp *interp)
{
    return UNLIKELY(interp->leaving || PERL_GET_CONTEXT != (void *)THIS_PERL);
}

/* The same; then `*error` says why, or there is none. */
static int S_refuses(pTHX_ perlxs_interp *interp, int *status, SV **error)
{
    if (!S_may_not_run(aTHX_ interp))
        return 0;
    *status = PERLXS_EXIT;
    if (!interp->leaving) {
        *status = PERLXS_DIED;
        ALLOCATING(*error = newSVpvs("a value of another interpreter"));
    }
    return 1;
}

/* Whether $@ is as an eval without an exception leaves it; no exception is: a string that is thrown
 * is not empty. */
PERL_STATIC_INLINE int S_is_clear(SV *sv)
{
    return SvPOK(sv) && !SvROK(sv) && !SvCUR(sv) && !SvMAGICAL(sv);
}

/* A copy of the exception, which is no longer in $@. */
static SV *S_take_error(pTHX)
{
    SV *const error = newSVsv(ERRSV);

    CLEAR_ERRSV();
    return error;
}

/* Runs fn(arg) so that nothing is thrown past this frame.
 *
 * A die is a longjmp to the innermost eval, so fn needs an eval of its own around it;
 * call_sv makes one, around a sub: hence the XSUB. `done`, not $@, tells
 * whether fn died: an exception may be an object that is false. An exit is a longjmp
 * to the innermost jump frame, with all of perl's stacks unwound. `last` and `goto` would leave
 * for a loop of the caller's, if it were on the same of perl's stacks. $@ stays the caller's.
 * Where a call has blocked signals, perl code runs with the caller's mask: what is thrown by a
 * handler is caught too. Its statements, and the end of call_sv itself in newer perls, forget that
 * something tainted was read; this does not. */
static int S_guard(pTHX_ guarded fn, void *arg, SV **error)
{
    perlxs_interp *const interp = S_SLOT;
    perlxs_call *const call = interp->call;
    const sigset_t *const mask = interp->mask;
    void *const outer = interp->guard;
    sigset_t blocked;
    struct guard g;
    int ret;
    dJMPENV;

    if (UNLIKELY(S_refuses(aTHX_ interp, &ret, error)))
        return ret;
    S_keep_borrowed(aTHX_ interp);
    g.fn = fn;
    g.arg = arg;
    g.done = 0;
    g.tainted = TAINT_get;
    JMPENV_PUSH(ret);
    if (ret == 0) {
        dSP;

        ENTER;
        SAVETMPS;
        if (!S_is_clear(ERRSV))
            save_scalar(PL_errgv);
        if (!interp->guard_cv)
            interp->guard_cv = newXS(NULL, S_guard_xsub, "perlxs");
        PUSHSTACKi(PERLSI_UNKNOWN);
        PUSHMARK(PL_stack_sp);
        if (mask) {
            interp->mask = NULL;
            sigprocmask(SIG_SETMASK, mask, &blocked);
        }
        interp->guard = &g;
        call_sv((SV *)interp->guard_cv, G_VOID | G_DISCARD | G_EVAL | G_NODEBUG);
        interp->call = call;
        if (mask)
            sigprocmask(SIG_SETMASK, &blocked, NULL);
        POPSTACK;
        if (!g.done)
            *error = S_take_error(aTHX);
        FREETMPS;
        LEAVE;
    }
    else {
        interp->call = call;
        if (mask)
            sigprocmask(SIG_SETMASK, &blocked, NULL);
    }
    interp->guard = outer;
    interp->mask = mask;
    JMPENV_POP;
    if (g.tainted)
        TAINT;
    if (ret != 0) {
        interp->leaving = ret;
        return PERLXS_EXIT;
    }
    return g.done ? PERLXS_OK : PERLXS_DIED;
}

/* Whether to give up a reference runs nothing: it is not the last to what may have a destructor. */
PERL_STATIC_INLINE int S_is_plain_dec(SV *sv)
{
    return SvREFCNT(sv) > 1
           || ((SvTYPE(sv) < SVt_PVMG
                || (SvTYPE(sv) == SVt_PVMG && !SvOBJECT(sv) && !SvMAGIC(sv)))
               && (!SvROK(sv) || SvREFCNT(SvRV(sv)) > 1));
}

/* Gives up a reference and runs nothing: perl frees it, if need be, with its temporaries. `sv` may
 * be NULL. */
PERL_STATIC_INLINE void S_dec_later(pTHX_ SV *sv)
{
    if (!sv)
        return;
    if (S_is_plain_dec(sv))
        SvREFCNT_dec_NN(sv);
    else
        ALLOCATING(sv_2mortal(sv));
}

static void S_dec(pTHX_ void *sv)
{
    SvREFCNT_dec_NN((SV *)sv);
}

/* Gives up a reference; `sv` may be NULL. What a destructor throws cannot be told to a Rust drop: a
 * die is lost, as perl loses it; an exit is passed on by S_entry. Where nothing of perl may run no
 * destructor may: perl frees it with its own temporaries, as soon as it can. */
static void S_drop(pTHX_ perlxs_interp *interp, SV *sv)
{
    while (sv) {
        SV *error = NULL;

        if (SvREFCNT(sv) == 1)
            S_keep_borrowed(aTHX_ interp);
        if (S_is_plain_dec(sv))
            SvREFCNT_dec_NN(sv);
        else if (S_may_not_run(aTHX_ interp))
            S_dec_later(aTHX_ sv);
        else
            S_guard(aTHX_ S_dec, sv, &error);
        sv = error; /* it may be an object too */
    }
}

/* Passes on what `leaving` was. The stacks above the guard are unwound by now; exit unwinds the
 * rest, down to the next jump frame. */
static void S_leave(pTHX_ perlxs_interp *interp, int leaving)
{
    interp->leaving = 0;
    if (leaving == 2)
        my_exit(STATUS_EXIT);
    JMPENV_JUMP(leaving);
}
