/* Containment: what perl throws goes no further than a jump frame of ours. */

#ifdef MULTIPLICITY
#define dINTERP                                                                                    \
    PerlInterpreter *const my_perl PERL_UNUSED_DECL = (PerlInterpreter *)interp
#define THIS_PERL aTHX
#else
#define dINTERP PERL_UNUSED_VAR(interp)
#define THIS_PERL PL_curinterp
#endif

/* perls before 5.24 have only the slow way to set an XSUB's target */
#ifndef TARGi
#define TARGi(i, do_taint) sv_setiv_mg(TARG, i)
#define TARGu(u, do_taint) sv_setuv_mg(TARG, u)
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
    struct guard *const g = (struct guard *)XSANY.any_ptr;

    PERL_UNUSED_VAR(items);
    g->fn(aTHX_ g->arg);
    if (TAINT_get)
        g->tainted = TRUE;
    g->done = 1;
    XSRETURN_EMPTY;
}

/* How perl is leaving this thread's frames (2: exit), or 0. Then its stacks are unwound, so nothing
 * of perl may run before S_entry has passed it on. */
static __thread int S_leaving;

/* The caller's signal mask, while an XSUB of ours has blocked all signals; or NULL. */
static __thread const sigset_t *S_mask;

/* Runs fn(arg) so that nothing is thrown past this frame.
 *
 * A die is a longjmp to the innermost eval, so fn needs an eval of its own around it;
 * call_sv makes one, around a sub: hence the throwaway XSUB. `done`, not $@, tells
 * whether fn died: an exception may be an object that is false. An exit is a longjmp
 * to the innermost jump frame, with all of perl's stacks unwound. `last` and `goto` would leave
 * for a loop of the caller's, if it were on the same of perl's stacks. $@ stays the caller's.
 * Perl code runs with the caller's signal mask: what is thrown by a handler is caught too. Its
 * statements, and the end of call_sv itself in newer perls, forget that something tainted was
 * read; this does not. */
static int S_guard(pTHX_ guarded fn, void *arg, SV **error)
{
    const sigset_t *const mask = S_mask;
    sigset_t blocked;
    struct guard g;
    int ret;
    dJMPENV;

    g.fn = fn;
    g.arg = arg;
    g.done = 0;
    g.tainted = TAINT_get;
    if (S_leaving)
        return PERLXS_EXIT;
    JMPENV_PUSH(ret);
    if (ret == 0) {
        CV *cv;
        dSP;

        ENTER;
        SAVETMPS;
        save_scalar(PL_errgv);
        cv = newXS(NULL, S_guard_xsub, "perlxs");
        CvXSUBANY(cv).any_ptr = &g;
        SAVEFREESV((SV *)cv);
        PUSHSTACKi(PERLSI_UNKNOWN);
        PUSHMARK(PL_stack_sp);
        if (mask) {
            S_mask = NULL;
            sigprocmask(SIG_SETMASK, mask, &blocked);
        }
        call_sv((SV *)cv, G_VOID | G_DISCARD | G_EVAL | G_NODEBUG);
        if (mask)
            sigprocmask(SIG_SETMASK, &blocked, NULL);
        POPSTACK;
        if (!g.done)
            *error = newSVsv(ERRSV);
        FREETMPS;
        LEAVE;
    }
    else if (mask)
        sigprocmask(SIG_SETMASK, &blocked, NULL);
    S_mask = mask;
    JMPENV_POP;
    if (g.tainted)
        TAINT;
    if (ret != 0) {
        S_leaving = ret;
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
 * die is lost, as perl loses it; an exit is passed on by S_entry. While perl is leaving no
 * destructor may run: it does that with its own temporaries, as soon as it has left. */
static void S_drop(pTHX_ SV *sv)
{
    while (sv) {
        SV *error = NULL;

        if (S_leaving || S_is_plain_dec(sv))
            S_dec_later(aTHX_ sv);
        else
            S_guard(aTHX_ S_dec, sv, &error);
        sv = error; /* it may be an object too */
    }
}

/* Passes on what S_leaving was. The stacks above the guard are unwound by now; exit unwinds the
 * rest, down to the next jump frame. */
static void S_leave(pTHX_ int leaving)
{
    S_leaving = 0;
    if (leaving == 2)
        my_exit(STATUS_EXIT);
    JMPENV_JUMP(leaving);
}
