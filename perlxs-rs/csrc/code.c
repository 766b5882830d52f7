/* Code. */

struct code {
    SV *sv;
    SV **out;
};

static bool S_is_callable(pTHX_ CV *cv)
{
    GV *gv;

    if (CvROOT(cv) || CvXSUB(cv))
        return TRUE;
    gv = CvGV(cv);
    return gv && GvSTASH(gv) && gv_fetchmeth_pvn(GvSTASH(gv), "AUTOLOAD", 8, 0, 0);
}

static void S_code(pTHX_ void *arg)
{
    struct code *const c = (struct code *)arg;
    SV *sv = c->sv;
    CV *cv = NULL;

    SvGETMAGIC(sv);
    if (SvROK(sv)) {
        if (SvAMAGIC(sv))
            sv = amagic_deref_call(sv, to_cv_amg);
        sv = SvRV(sv);
    }
    if (SvTYPE(sv) == SVt_PVCV)
        cv = (CV *)sv;
    else if (isGV_with_GP(sv))
        cv = GvCVu((GV *)sv);
    else if (sv == c->sv && SvPOK(sv) && SvCUR(sv) > 0)
        cv = get_cvn_flags(SvPVX_const(sv), SvCUR(sv), SvUTF8(sv));
    *c->out = cv && S_is_callable(aTHX_ cv) ? SvREFCNT_inc_simple_NN((SV *)cv) : NULL;
}

int perlxs_sv_code(perlxs_interp *interp, SV *sv, SV **out, SV **error)
{
    dINTERP;
    struct code c;

    if (SvROK(sv) && !SvGMAGICAL(sv) && SvTYPE(SvRV(sv)) == SVt_PVCV && !SvOBJECT(SvRV(sv))
        && CvROOT((CV *)SvRV(sv))) {
        *out = SvREFCNT_inc_simple_NN(SvRV(sv));
        return PERLXS_OK;
    }
    c.sv = sv;
    c.out = out;
    return S_guard(aTHX_ S_code, &c, error);
}

struct copy_of {
    SV *sv;
    SV *copy;
};

static void S_copy_of(pTHX_ void *arg)
{
    struct copy_of *const c = (struct copy_of *)arg;
    c->copy = newSVsv(c->sv);
}

/* A copy of what a sub has returned; a temporary that nobody else has is that itself. NULL if it
 * has magic, which dies. */
static SV *S_result(pTHX_ SV *sv, int *status, SV **error)
{
    if (LIKELY(!SvGMAGICAL(sv))) {
        if (SvTEMP(sv) && SvREFCNT(sv) == 1)
            return SvREFCNT_inc_simple_NN(sv);
        return newSVsv(sv);
    }
    else {
        struct copy_of c;

        c.sv = sv;
        c.copy = NULL;
        *status = S_guard(aTHX_ S_copy_of, &c, error);
        return c.copy;
    }
}

/* As S_guard, of call_sv itself. */
int perlxs_code_call(perlxs_interp *interp, SV *code, int how, SV *const *args, size_t nargs,
                     SV **out, SV **error)
{
    dINTERP;
    perlxs_call *const call = interp->call;
    const sigset_t *const mask = interp->mask;
    const I32 flags = (how & PERLXS_CALL_LIST ? G_LIST : G_SCALAR)
                      | (how & PERLXS_CALL_METHOD ? G_METHOD : 0) | G_EVAL;
    volatile int status = PERLXS_OK;
    volatile bool tainted = TAINT_get;
    sigset_t blocked;
    int ret;
    dJMPENV;

    if (UNLIKELY(S_refuses(aTHX_ interp, &ret, error)))
        return ret;
    S_keep_borrowed(aTHX_ interp);
    JMPENV_PUSH(ret);
    if (ret == 0) {
        size_t i;
        SSize_t count;
        int result = PERLXS_OK;
        dSP;

        ENTER;
        if (!S_is_clear(ERRSV))
            save_scalar(PL_errgv);
        PUSHSTACKi(PERLSI_UNKNOWN);
        ENTER;
        SAVETMPS;
        PUSHMARK(SP);
        EXTEND(SP, (SSize_t)nargs);
        for (i = 0; i < nargs; i++)
            PUSHs(args[i]);
        PUTBACK;
        if (mask) {
            interp->mask = NULL;
            sigprocmask(SIG_SETMASK, mask, &blocked);
        }
        interp->call = NULL;
        count = call_sv(code, flags);
        if (TAINT_get)
            tainted = TRUE;
        if (UNLIKELY(!S_is_clear(ERRSV))) {
            result = PERLXS_DIED;
            *error = S_take_error(aTHX);
        }
        else if (how & PERLXS_CALL_LIST) {
            const SSize_t base = PL_stack_sp - PL_stack_base - count;
            AV *const list = newAV();
            SSize_t n;

            *out = (SV *)list;
            /* to copy a value may run perl code: the values stay on the stack, which may move */
            for (n = 1; n <= count && result == PERLXS_OK; n++) {
                SV *const copy = S_result(aTHX_ PL_stack_base[base + n], &result, error);

                if (copy)
                    av_push(list, copy);
            }
        }
        else
            *out = S_result(aTHX_ *PL_stack_sp, &result, error);
        status = result;
        if (LIKELY(result != PERLXS_EXIT)) { /* else all is unwound */
            PL_stack_sp -= count;
            if (TAINT_get)
                tainted = TRUE;
            FREETMPS;
            LEAVE;
            SPAGAIN;
            POPSTACK;
            LEAVE;
        }
    }
    interp->call = call;
    interp->mask = mask;
    if (mask)
        sigprocmask(SIG_SETMASK, &blocked, NULL);
    JMPENV_POP;
    if (tainted)
        TAINT;
    if (ret != 0) {
        interp->leaving = ret;
        return PERLXS_EXIT;
    }
    return status;
}

struct each {
    SV *code;
    int how;
    perlxs_step step;
    void *context;
    perlxs_interp *interp;
    perlxs_call *call;
};

/* What Rust wants next, after this result: perhaps a variable, which what Rust calls may free; or
 * what it calls exits, and it ends here. */
static int S_step(pTHX_ struct each *l, SV *result, int is_true, SV **items)
{
    int more;

    SvREFCNT_inc_simple_void(result);
    l->interp->call = l->call;
    more = l->step(l->context, result, is_true, items);
    l->interp->call = NULL;
    if (UNLIKELY(l->interp->leaving)) {
        S_dec_later(aTHX_ result);
        S_leave(aTHX_ l->interp, l->interp->leaving);
    }
    SvREFCNT_dec(result);
    return more;
}

/* A variable that stands for the values of a loop. The code may undefine or assign its glob, or
 * take it out of the symbol table. */
struct alias {
    GV *gv;
    SV *before;
};

static void S_unalias(pTHX_ void *arg)
{
    const struct alias a = *(struct alias *)arg;
    SV *const last = GvSV(a.gv);

    Safefree(arg);
    GvSV(a.gv) = a.before;
    SvREFCNT_dec(last);
    SvREFCNT_dec_NN(a.gv);
}

/* The variable has no value now; the end of the scope gives it the one that it has had. */
static GV *S_begin_alias(pTHX_ GV *gv)
{
    struct alias *a;

    Newx(a, 1, struct alias);
    a->gv = (GV *)SvREFCNT_inc_simple_NN((SV *)gv);
    a->before = GvSV(gv);
    GvSV(gv) = NULL;
    SAVEDESTRUCTOR_X(S_unalias, a);
    return gv;
}

static void S_alias(pTHX_ GV *gv, SV *sv)
{
    SV *const old = GvSV(gv);

    SvTEMP_off(sv); /* as grep does: to a thread that is cloned meanwhile it is a variable */
    GvSV(gv) = SvREFCNT_inc_simple_NN(sv);
    SvREFCNT_dec(old);
}

/* What is made of a result, for the next step. */
#define TAKE(sv)                                                                                   \
    (result = sv, l->how & PERLXS_LOOP_TRUTH ? (is_true = !!SvTRUE(result)) : 0)

/* The values are arguments: a call for each. */
static void S_each_argument(pTHX_ struct each *l)
{
    SV *result = NULL;
    int is_true = 0;
    SV *items[2];

    ENTER;
    SAVETMPS;
    while (S_step(aTHX_ l, result, is_true, items)) {
        dSP;

        FREETMPS; /* the last result among them */
        PUSHMARK(SP);
        XPUSHs(items[0]);
        PUTBACK;
        call_sv(l->code, G_SCALAR);
        TAKE(*PL_stack_sp);
        PL_stack_sp--;
    }
    FREETMPS;
    LEAVE;
}

/* $a or $b of the caller's package. A package may be gone: then perl looks into freed memory. */
static GV *S_pair_variable(pTHX_ const char *name)
{
    const HV *const stash = IN_PERL_COMPILETIME ? PL_curstash : CopSTASH(PL_curcop);

    if (!stash || SvTYPE(stash) != SVt_PVHV)
        croak("no $%s: the package is gone", name);
    return gv_fetchpvn_flags(name, 1, GV_ADD, SVt_PV);
}

static void S_each(pTHX_ struct each *l)
{
    CV *const code = (CV *)l->code;
    const int is_pair = l->how & PERLXS_LOOP_PAIRS;
    GV *const first = S_begin_alias(aTHX_ is_pair ? S_pair_variable(aTHX_ "a") : PL_defgv);
    GV *const second = is_pair ? S_begin_alias(aTHX_ S_pair_variable(aTHX_ "b")) : NULL;
    SV *result = NULL;
    int is_true = 0;
    SV *items[2];

#define STEP                                                                                       \
    (S_step(aTHX_ l, result, is_true, items)                                                       \
     && (S_alias(aTHX_ first, items[0]), second ? S_alias(aTHX_ second, items[1]) : (void)0, 1))

    /* call_sv refuses a closure's prototype, which attributes are given: it has no variables */
    if (!CvISXSUB(code) && CvROOT(code) && (!CvCLONE(code) || CvCLONED(code))) {
        dMULTICALL;
        U8 gimme = G_SCALAR;
        dSP;

        PUSH_MULTICALL(code);
        while (STEP) {
            MULTICALL;
            TAKE(*PL_stack_sp);
        }
        POP_MULTICALL;
    }
    else {
        ENTER;
        SAVETMPS;
        while (STEP) {
            dSP;

            FREETMPS;
            PUSHMARK(SP);
            PUTBACK;
            call_sv(l->code, G_SCALAR);
            TAKE(*PL_stack_sp);
            PL_stack_sp--;
        }
        FREETMPS;
        LEAVE;
    }
}

static void S_loop(pTHX_ void *arg)
{
    struct each *const l = (struct each *)arg;

    if (l->how & PERLXS_LOOP_ARGUMENT)
        S_each_argument(aTHX_ l);
    else
        S_each(aTHX_ l);
}

int perlxs_code_loop(perlxs_interp *interp, SV *code, int how, perlxs_step step, void *context,
                     SV **error)
{
    dINTERP;
    struct each l;

    l.code = code;
    l.how = how;
    l.step = step;
    l.context = context;
    l.interp = interp;
    l.call = interp->call;
    return S_guard(aTHX_ S_loop, &l, error);
}
