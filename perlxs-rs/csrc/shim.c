#include "shim.h"
#include "perliol.h"
#include <stdio_ext.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

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

/* ---- containment ---- */

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

/* ---- the XSUB table and the one entry ---- */

/* What keeps a call undisturbed. */
struct perlxs_held {
    sigset_t mask;
    const sigset_t *outer; /* S_mask before */
    SV *args[1];           /* call->nargs of them */
};

void perlxs_call_hold(perlxs_interp *interp, perlxs_call *call)
{
    dINTERP;
    struct perlxs_held *held;
    sigset_t all;
    size_t i;

    if (call->held)
        return;
    TAINT_NOT; /* as a sub's first statement: the caller's expression may have read anything */
    ALLOCATING(Newxc(held, sizeof *held + call->nargs * sizeof(SV *), char, struct perlxs_held));
    /* perl's stack holds no references: what a magical argument runs could free another. One that
     * its caller has freed while it stood in @_ is undef, as it is there. */
    for (i = 0; i < call->nargs; i++) {
        SV *const sv = call->args[i];

        if (SvIS_FREED(sv))
            held->args[i] = perlxs_sv_new_undef(interp);
        else
            held->args[i] = SvREFCNT_inc_simple_NN(sv);
    }
    held->outer = S_mask;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &held->mask);
    S_mask = &held->mask;
    call->mask = &held->mask;
    call->args = held->args;
    call->held = held;
}

int perlxs_call_context(perlxs_interp *interp)
{
    dINTERP;
    switch (GIMME_V) {
    case G_LIST:
        return PERLXS_CONTEXT_LIST;
    case G_SCALAR:
        return PERLXS_CONTEXT_SCALAR;
    default:
        return PERLXS_CONTEXT_VOID;
    }
}

/* Undoes perlxs_call_hold. Returns how perl is leaving, or 0. The signal mask comes last: a handler
 * that waits for it may throw. */
static int S_release(pTHX_ perlxs_call *call)
{
    struct perlxs_held *const held = call->held;
    const sigset_t mask = held->mask;
    const int leaving = S_leaving;
    const int err = errno;
    size_t i;

    S_leaving = 0;
    S_mask = held->outer;
    for (i = 0; i < call->nargs; i++)
        S_dec_later(aTHX_ held->args[i]);
    Safefree(held);
    errno = err;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return leaving;
}

/* Whether it is an integer without magic, and no reference: nothing to run. */
PERL_STATIC_INLINE int S_plain_int(SV *sv, int64_t *value)
{
    if (SvGMAGICAL(sv) || SvROK(sv) || !SvIOK(sv) || SvIsUV(sv))
        return 0;
    *value = SvIVX(sv);
    return 1;
}

/* The XSUB of every CV that perlxs defines. All that Rust owns is gone when it throws. */
static XSPROTO(S_entry)
{
    dXSARGS;
    const perlxs_xsub *const x = (const perlxs_xsub *)XSANY.any_ptr;
    perlxs_call call;
    int status;

    if (UNLIKELY(items < x->min_args || (U32)items > (U32)x->max_args)) /* -1: no limit */
        croak_xs_usage(cv, x->params);

    call.args = &ST(0);
    call.nargs = items;
    call.mask = NULL;
    call.held = NULL;
    call.is_plain = x->quick && items > 0 && S_plain_int(ST(0), &call.plain);
    if (!x->quick)
        perlxs_call_hold((perlxs_interp *)THIS_PERL, &call);
    status = x->body((perlxs_interp *)THIS_PERL, x, &call);
    /* what comes now may throw */
    if (UNLIKELY(status == PERLXS_DIED))
        sv_2mortal(call.error);
    else if (status == PERLXS_OK
             && (call.returns == PERLXS_RETURN_SV || call.returns == PERLXS_RETURN_LIST))
        sv_2mortal(call.sv);
    if (call.held) {
        const int leaving = S_release(aTHX_ &call);

        if (leaving)
            S_leave(aTHX_ leaving);
    }
    if (UNLIKELY(status == PERLXS_DIED))
        croak_sv(call.error);

    SPAGAIN;
    SP -= items;
    if (items == 0)
        EXTEND(SP, 1);
    if (call.returns == PERLXS_RETURN_SV)
        PUSHs(call.sv);
    else if (call.returns == PERLXS_RETURN_LIST) {
        AV *const list = (AV *)call.sv;
        const SSize_t count = av_len(list) + 1;
        SSize_t i;

        EXTEND(SP, count);
        for (i = 0; i < count; i++)
            PUSHs(sv_2mortal(SvREFCNT_inc_simple_NN(AvARRAY(list)[i])));
    }
    else if (call.returns == PERLXS_RETURN_UNDEF)
        PUSHs(&PL_sv_undef);
    else {
        dXSTARG;
        if (call.returns == PERLXS_RETURN_INT)
            TARGi((IV)call.integer, 1);
        else
            TARGu((UV)call.integer, 1);
        PUSHs(TARG);
    }
    PUTBACK;
}

struct boot {
    CV *cv;
    SV *const *args;
    I32 items;
    const perlxs_module *module;
};

static void S_boot(pTHX_ void *arg)
{
    const struct boot *const b = (const struct boot *)arg;
    const perlxs_module *const m = b->module;
    CV *const cv = b->cv;
    const STRLEN version_len = strlen(m->version);
    HV *stash;
    size_t i;
    I32 n;
    dSP;
#ifdef MULTIPLICITY
    const U32 key = HS_KEYp(sizeof(PerlInterpreter), TRUE, FALSE, FALSE,
                            sizeof("v" PERL_API_VERSION_STRING) - 1, version_len);
#else
    const U32 key = HS_KEYp(sizeof(struct PerlHandShakeInterpreter), FALSE, FALSE, FALSE,
                            sizeof("v" PERL_API_VERSION_STRING) - 1, version_len);
#endif

    PERL_UNUSED_VAR(cv);
    /* it looks for the arguments on the stack */
    EXTEND(SP, b->items);
    for (n = 0; n < b->items; n++)
        PUSHs(b->args[n]);
    PUTBACK;
    Perl_xs_handshake(key, HS_CXT, m->package, b->items, (I32)(SP - PL_stack_base) - b->items + 1,
                      "v" PERL_API_VERSION_STRING, m->version);
    PL_stack_sp -= b->items;
    for (i = 0; i < m->nxsubs; i++) {
        const perlxs_xsub *const x = m->xsubs[i];
        CV *const xsub = newXS_flags(x->name, S_entry, m->package, x->prototype, 0);

        CvXSUBANY(xsub).any_ptr = (void *)x;
    }
    stash = gv_stashpv(m->package, GV_ADD);
    for (i = 0; i < m->nconstants; i++) {
        perlxs_constant *const c = &m->constants[i];
        SV *const value = c->sv ? c->sv : newSVuv((UV)c->value);
        const STRLEN len = strlen(c->name);

        c->sv = NULL;

        /* As constant.pm does it: a reference in the symbol table, of which perl makes the sub
         * when it needs one; most constants are never needed. */
        if (hv_exists(stash, c->name, len))
            newCONSTSUB(stash, c->name, value);
        else {
            SvREADONLY_on(value);
            (void)hv_store(stash, c->name, len, newRV_noinc(value), 0);
        }
    }
    mro_method_changed_in(stash);
}

static void S_throw(pTHX_ void *error)
{
    croak_sv(sv_2mortal((SV *)error));
}

static void S_leave_boot(pTHX_ void *unused)
{
    PERL_UNUSED_VAR(unused);
    S_leave(aTHX_ S_leaving);
}

void perlxs_boot(perlxs_interp *interp, CV *cv, const perlxs_module *m)
{
    dINTERP;
    dXSARGS;
    struct boot b;
    SV *error = NULL;
    int status;
    size_t i;

    b.cv = cv;
    b.args = &ST(0);
    b.items = items;
    b.module = m;
    status = S_guard(aTHX_ S_boot, &b, &error);
    for (i = 0; status != PERLXS_OK && i < m->nconstants; i++)
        S_drop(aTHX_ m->constants[i].sv);
    /* The caller is a Rust frame. pp_entersub leaves the scope it made for this XSUB when that
     * frame is gone: then it is thrown. */
    if (status == PERLXS_EXIT) {
        S_drop(aTHX_ error);
        /* that scope is unwound, so it leaves this one; a value would be put on what is the
         * stack now */
        ALLOCATING(SPAGAIN; EXTEND(SP, ax + 1); ENTER; SAVEDESTRUCTOR_X(S_leave_boot, NULL));
        return;
    }
    if (status == PERLXS_DIED)
        ALLOCATING(SAVEDESTRUCTOR_X(S_throw, error));
    if (items == 0)
        ALLOCATING(SPAGAIN; EXTEND(SP, 1));
    XSRETURN_YES;
}

/* ---- scalars ---- */

SV *perlxs_sv_new_bytes(perlxs_interp *interp, const char *p, size_t len, int utf8)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = newSVpvn_flags(p, len, utf8 ? SVf_UTF8 : 0));
    return sv;
}

SV *perlxs_sv_new_int(perlxs_interp *interp, int64_t value)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = newSViv((IV)value));
    return sv;
}

SV *perlxs_sv_new_uint(perlxs_interp *interp, uint64_t value)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = newSVuv((UV)value));
    return sv;
}

SV *perlxs_sv_new_num(perlxs_interp *interp, double value)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = newSVnv(value));
    return sv;
}

SV *perlxs_sv_new_bool(perlxs_interp *interp, int value)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = newSVsv(boolSV(value)));
    return sv;
}

SV *perlxs_sv_new_undef(perlxs_interp *interp)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = newSV(0));
    return sv;
}

SV *perlxs_sv_inc(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    return SvREFCNT_inc_simple_NN(sv);
}

void perlxs_sv_dec(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    S_drop(aTHX_ sv);
}

SV *perlxs_list_new(perlxs_interp *interp)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = (SV *)newAV());
    return sv;
}

void perlxs_list_push(perlxs_interp *interp, SV *list, SV *owned)
{
    dINTERP;
    ALLOCATING(av_push((AV *)list, owned));
}

int perlxs_sv_is_undef_constant(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    return sv == &PL_sv_undef;
}

size_t perlxs_sv_count(perlxs_interp *interp)
{
    dINTERP;
    return (size_t)PL_sv_count;
}

void perlxs_depths(perlxs_interp *interp, size_t *out)
{
    dINTERP;
    const PERL_SI *si;

    out[0] = 0;
    for (si = PL_curstackinfo; si->si_prev; si = si->si_prev)
        out[0]++;
    out[1] = (size_t)(cxstack_ix + 1);
    out[2] = (size_t)(PL_stack_sp - PL_stack_base);
    out[3] = (size_t)(PL_markstack_ptr - PL_markstack);
    out[4] = (size_t)PL_scopestack_ix;
    out[5] = (size_t)PL_savestack_ix;
    out[6] = (size_t)(PL_tmps_ix + 1);
}

struct assignable {
    SV *sv;
    int *out;
};

static void S_assignable(pTHX_ void *arg)
{
    struct assignable *const a = (struct assignable *)arg;
    SV *const sv = a->sv;
    const bool tainted = TAINT_get;

    PERL_UNUSED_VAR(tainted);
    *a->out = !SvREADONLY(sv) && !isGV_with_GP(sv);
    /* magic may refuse, as that of $1: it tells when it is tried. A tied one would store. */
    if (*a->out && SvSMAGICAL(sv) && !mg_find(sv, PERL_MAGIC_tiedscalar)
        && !mg_find(sv, PERL_MAGIC_tiedelem)) {
        SV *const value = sv_newmortal();

        sv_setsv(value, sv);
        sv_setsv_mg(sv, value);
        TAINT_set(tainted); /* what it held is to be replaced, and counts for nothing */
    }
}

int perlxs_sv_assignable(perlxs_interp *interp, SV *sv, int *out, SV **error)
{
    dINTERP;
    struct assignable a;

    if (!SvMAGICAL(sv)) {
        *out = !SvREADONLY(sv) && !isGV_with_GP(sv);
        return PERLXS_OK;
    }
    a.sv = sv;
    a.out = out;
    return S_guard(aTHX_ S_assignable, &a, error);
}

int perlxs_sv_plain_int(perlxs_interp *interp, SV *sv, int64_t *value)
{
    dINTERP;
    return S_plain_int(sv, value);
}

struct number {
    SV *sv;
    perlxs_number *out;
};

/* What an overload method makes of it, with its magic read, or itself. */
static SV *S_converted(pTHX_ SV *sv, int method)
{
    SV *const converted = SvROK(sv) && SvAMAGIC(sv) ? AMG_CALLunary(sv, method) : NULL;

    if (!converted)
        return sv;
    SvGETMAGIC(converted);
    return converted;
}

static void S_number(pTHX_ void *arg)
{
    struct number *const n = (struct number *)arg;
    perlxs_number *const out = n->out;
    SV *sv = n->sv;

    SvGETMAGIC(sv);
    sv = S_converted(aTHX_ sv, numer_amg);
    if (!SvROK(sv) && SvPOK(sv) && !SvIOK(sv) && !SvNOK(sv) && looks_like_number(sv)) {
        STRLEN len;
        const char *const p = SvPV_nomg_const(sv, len);

        /* a copy: numbers cached in the caller's string would change how others print it */
        sv = newSVpvn_flags(p, len, SVs_TEMP);
        (void)SvIV_nomg(sv);
    }
    if (SvROK(sv))
        out->kind = PERLXS_NUMBER_NONE;
    else if (SvIOK(sv) && SvIsUV(sv) && SvUVX(sv) > (UV)IV_MAX) {
        out->kind = PERLXS_NUMBER_UINT;
        out->integer = (int64_t)SvUVX(sv);
    }
    else if (SvIOK(sv)) {
        out->kind = PERLXS_NUMBER_INT;
        out->integer = SvIVX(sv);
    }
    else if (SvNOK(sv)) {
        out->kind = PERLXS_NUMBER_FLOAT;
        out->real = (double)SvNVX(sv);
    }
    else
        out->kind = SvOK(sv) || isGV_with_GP(sv) ? PERLXS_NUMBER_NONE : PERLXS_NUMBER_UNDEF;
}

int perlxs_sv_number(perlxs_interp *interp, SV *sv, perlxs_number *out, SV **error)
{
    dINTERP;
    struct number n;

    n.sv = sv;
    n.out = out;
    return S_guard(aTHX_ S_number, &n, error);
}

struct string {
    SV *sv;
    int form;
    SV **out;
};

/* Gives a string of ours the form. 0 if it cannot have it. */
static int S_form(pTHX_ SV *copy, int form)
{
    if (form == PERLXS_STRING_UTF8)
        sv_utf8_upgrade(copy);
    return form != PERLXS_STRING_BYTES || sv_utf8_downgrade(copy, TRUE);
}

static void S_string(pTHX_ void *arg)
{
    struct string *const s = (struct string *)arg;
    SV *sv = s->sv;
    STRLEN len;
    const char *p;
    SV *copy;

    *s->out = NULL;
    SvGETMAGIC(sv);
    if (s->form == PERLXS_STRING_NAME) {
        sv = S_converted(aTHX_ sv, string_amg);
        if (SvROK(sv) || isGV_with_GP(sv))
            return;
    }
    if (!SvOK(sv) && !isGV_with_GP(sv))
        return;
    p = SvPV_nomg_const(sv, len);
    copy = newSVpvn_flags(p, len, SVs_TEMP | (SvUTF8(sv) ? SVf_UTF8 : 0));
    if (!S_form(aTHX_ copy, s->form))
        croak("Wide character in a string of bytes");
    *s->out = SvREFCNT_inc_simple_NN(copy);
}

int perlxs_sv_string(perlxs_interp *interp, SV *sv, int form, SV **out, SV **error)
{
    dINTERP;
    struct string s;

    /* Nothing to run; but where there is no memory for a copy perl exits, and a large one may lack
     * it. */
    if (SvPOK(sv) && !SvGMAGICAL(sv) && !SvROK(sv) && SvCUR(sv) < 65536) {
        SV *copy;
        int formed;

        ALLOCATING(copy = newSVpvn_flags(SvPVX_const(sv), SvCUR(sv), SvUTF8(sv) ? SVf_UTF8 : 0);
                   formed = S_form(aTHX_ copy, form));
        if (formed) {
            *out = copy;
            return PERLXS_OK;
        }
        SvREFCNT_dec_NN(copy);
    }
    s.sv = sv;
    s.form = form;
    s.out = out;
    return S_guard(aTHX_ S_string, &s, error);
}

const char *perlxs_sv_buffer(perlxs_interp *interp, SV *sv, size_t *len)
{
    dINTERP;
    *len = SvCUR(sv);
    return SvPVX_const(sv);
}

struct set {
    SV *sv;
    SV *value;
};

static void S_set(pTHX_ void *arg)
{
    struct set *const s = (struct set *)arg;
    sv_setsv_mg(s->sv, s->value);
}

int perlxs_sv_set(perlxs_interp *interp, SV *sv, SV *value, SV **error)
{
    dINTERP;
    struct set s;

    s.sv = sv;
    s.value = value;
    return S_guard(aTHX_ S_set, &s, error);
}

struct variable {
    const char *name;
    SV **out;
};

/* Some names die (`$*` and `$#`, since perl 5.30), or warn. */
static void S_variable(pTHX_ void *arg)
{
    const struct variable *const v = (const struct variable *)arg;
    *v->out = SvREFCNT_inc_simple_NN(get_sv(v->name, GV_ADDMULTI));
}

int perlxs_variable(perlxs_interp *interp, const char *name, SV **out, SV **error)
{
    dINTERP;
    struct variable v;

    v.name = name;
    v.out = out;
    return S_guard(aTHX_ S_variable, &v, error);
}

struct name {
    const char *name;
    size_t len;
};

static void S_load_module(pTHX_ void *arg)
{
    const struct name *const n = (const struct name *)arg;
    load_module(PERL_LOADMOD_NOIMPORT, newSVpvn(n->name, n->len), NULL);
}

int perlxs_load_module(perlxs_interp *interp, const char *name, size_t len, SV **error)
{
    dINTERP;
    struct name n;

    n.name = name;
    n.len = len;
    return S_guard(aTHX_ S_load_module, &n, error);
}

struct items {
    SV *sv;
    int kind;
    SV **out;
};

/* What the array or hash holds, as an owned AV. */
static void S_collect(pTHX_ SV *sv, int kind, SV **out)
{
    AV *const items = (AV *)sv_2mortal((SV *)newAV());

    if (kind == PERLXS_ITEMS_ARRAY) {
        AV *const av = (AV *)sv;
        const SSize_t last = av_len(av);
        SSize_t i;

        for (i = 0; i <= last; i++) {
            SV **const element = av_fetch(av, i, 0);

            av_push(items, element ? SvREFCNT_inc_NN(*element) : newSV(0));
        }
    }
    else {
        HV *const hv = (HV *)sv;
        HE *entry;

        hv_iterinit(hv);
        while ((entry = hv_iternext(hv))) {
            av_push(items, newSVsv(hv_iterkeysv(entry)));
            if (kind == PERLXS_ITEMS_HASH)
                av_push(items, SvREFCNT_inc_NN(hv_iterval(hv, entry)));
        }
    }
    *out = SvREFCNT_inc_simple_NN((SV *)items);
}

static void S_items(pTHX_ void *arg)
{
    struct items *const it = (struct items *)arg;
    SV *const sv = it->sv;

    *it->out = NULL;
    SvGETMAGIC(sv);
    if (!SvROK(sv) || SvOBJECT(SvRV(sv))
        || SvTYPE(SvRV(sv)) != (it->kind == PERLXS_ITEMS_HASH ? SVt_PVHV : SVt_PVAV))
        return;
    sv_2mortal(SvREFCNT_inc_simple_NN(SvRV(sv))); /* a tie method may let go of it */
    S_collect(aTHX_ SvRV(sv), it->kind, it->out);
}

int perlxs_sv_items(perlxs_interp *interp, SV *sv, int kind, SV **out, SV **error)
{
    dINTERP;
    struct items it;

    it.sv = sv;
    it.kind = kind;
    it.out = out;
    return S_guard(aTHX_ S_items, &it, error);
}

size_t perlxs_av_len(perlxs_interp *interp, SV *av)
{
    dINTERP;
    return (size_t)(av_len((AV *)av) + 1);
}

SV *perlxs_av_get(perlxs_interp *interp, SV *av, size_t i)
{
    dINTERP;
    return *av_fetch((AV *)av, (SSize_t)i, 0);
}

SV *perlxs_sv_referent(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    if (!SvROK(sv) || SvOBJECT(SvRV(sv)) || SvTYPE(SvRV(sv)) > SVt_PVLV || SvROK(SvRV(sv)))
        return NULL;
    return SvREFCNT_inc_simple_NN(SvRV(sv));
}

struct copy {
    SV *sv;
    SV **out;
};

static void S_copy(pTHX_ void *arg)
{
    struct copy *const c = (struct copy *)arg;
    *c->out = newSVsv(c->sv);
}

int perlxs_sv_copy(perlxs_interp *interp, SV *sv, SV **out, SV **error)
{
    dINTERP;
    struct copy c;

    c.sv = sv;
    c.out = out;
    return S_guard(aTHX_ S_copy, &c, error);
}

struct handle {
    SV *sv;
    int *is_handle;
    int *fd;
};

/* As pp_fileno: a tied handle is asked by its FILENO. */
static int S_handle_fileno(pTHX_ IO *io)
{
    const MAGIC *mg;

    if (SvRMAGICAL(io) && (mg = mg_find((SV *)io, PERL_MAGIC_tiedscalar))) {
        SV *result;
        int fd;
        dSP;

        ENTER;
        SAVETMPS;
        PUSHMARK(SP);
        XPUSHs(SvTIED_obj((SV *)io, mg));
        PUTBACK;
        call_method("FILENO", G_SCALAR);
        SPAGAIN;
        result = POPs;
        PUTBACK;
        SvGETMAGIC(result);
        fd = SvOK(result) ? (int)SvIV_nomg(result) : -1;
        FREETMPS;
        LEAVE;
        return fd;
    }
    if (IoDIRP(io))
        return dirfd(IoDIRP(io));
    return IoIFP(io) ? PerlIO_fileno(IoIFP(io)) : -1;
}

static void S_fileno(pTHX_ void *arg)
{
    struct handle *const h = (struct handle *)arg;
    SV *sv = h->sv;
    IO *io = NULL;

    SvGETMAGIC(sv);
    if (SvROK(sv)) {
        if (SvAMAGIC(sv))
            sv = amagic_deref_call(sv, to_gv_amg);
        sv = SvRV(sv);
    }
    *h->is_handle = 1;
    if (SvTYPE(sv) == SVt_PVIO)
        io = (IO *)sv;
    else if (isGV_with_GP(sv))
        io = GvIO((GV *)sv);
    else {
        GV *gv = NULL;

        if (sv == h->sv && SvPOK(sv) && SvCUR(sv) > 0 && !looks_like_number(sv))
            gv = gv_fetchsv_nomg(sv, 0, SVt_PVIO);
        if (gv && isGV_with_GP(gv))
            io = GvIO(gv);
        *h->is_handle = io != NULL;
    }
    *h->fd = io ? S_handle_fileno(aTHX_ io) : -1;
}

int perlxs_sv_fileno(perlxs_interp *interp, SV *sv, int *is_handle, int *fd, SV **error)
{
    dINTERP;
    struct handle h;

    h.sv = sv;
    h.is_handle = is_handle;
    h.fd = fd;
    return S_guard(aTHX_ S_fileno, &h, error);
}

struct describe {
    SV *sv;
    SV *text;
};

static void S_describe(pTHX_ void *arg)
{
    struct describe *const d = (struct describe *)arg;
    SV *const sv = d->sv;
    SV *const text = d->text;

    if (SvROK(sv)) {
        SV *const target = SvRV(sv);
        const char *const type = sv_reftype(target, 0);

        if (SvOBJECT(target)) {
            HEK *const name = HvNAME_HEK(SvSTASH(target));

            if (name)
                Perl_sv_setpvf(aTHX_ text, "an object of class %" HEKf, HEKfARG(name));
            else
                sv_setpvs(text, "an object of a class that is gone");
        }
        else
            Perl_sv_setpvf(aTHX_ text, "a reference to %s %s",
                           strchr("AEIOU", *type) ? "an" : "a", type);
    }
    else if (isGV_with_GP(sv)) {
        HV *const stash = GvSTASH((GV *)sv);
        HEK *const package = stash ? HvNAME_HEK(stash) : NULL;

        sv_setpvs(text, "the glob *");
        if (package)
            Perl_sv_catpvf(aTHX_ text, "%" HEKf, HEKfARG(package));
        Perl_sv_catpvf(aTHX_ text, "::%" HEKf, HEKfARG(GvNAME_HEK((GV *)sv)));
    }
    else if (!SvOK(sv))
        sv_setpvs(text, "undef");
    else if (SvPOK(sv)) {
        /* characters, if they are any: pv_pretty warns of others, and loses its way */
        const int utf8 = SvUTF8(sv) && is_utf8_string((const U8 *)SvPVX_const(sv), SvCUR(sv));

        sv_setpvs(text, "the string ");
        pv_pretty(text, SvPVX_const(sv), SvCUR(sv), 60, NULL, NULL,
                  PERL_PV_PRETTY_NOCLEAR | PERL_PV_PRETTY_QUOTE | PERL_PV_PRETTY_ELLIPSES
                      | (utf8 ? PERL_PV_ESCAPE_UNI : 0));
    }
    else if (SvIOK(sv) && SvIsUV(sv))
        Perl_sv_setpvf(aTHX_ text, "%" UVuf, SvUVX(sv));
    else if (SvIOK(sv))
        Perl_sv_setpvf(aTHX_ text, "%" IVdf, SvIVX(sv));
    else if (SvNOK(sv))
        Perl_sv_setpvf(aTHX_ text, "%" NVgf, SvNVX(sv));
    else
        Perl_sv_setpvf(aTHX_ text, "a value of type %s", sv_reftype(sv, 0));
}

/* Guarded, since what formats strings may warn, and a warning may be a handler's exception. */
SV *perlxs_sv_describe(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    struct describe d;
    SV *error = NULL;

    d.sv = sv;
    ALLOCATING(d.text = newSVpvs("a value"));
    S_guard(aTHX_ S_describe, &d, &error);
    S_drop(aTHX_ error);
    return d.text;
}

/* ---- code ---- */

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

struct code_call {
    SV *code;
    int how;
    SV *const *args;
    size_t nargs;
    SV **out;
};

static void S_code_call(pTHX_ void *arg)
{
    struct code_call *const c = (struct code_call *)arg;
    const int method = c->how & PERLXS_CALL_METHOD ? G_METHOD : 0;
    size_t i;
    dSP;

    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    EXTEND(SP, (SSize_t)c->nargs);
    for (i = 0; i < c->nargs; i++)
        PUSHs(c->args[i]);
    PUTBACK;
    if (c->how & PERLXS_CALL_LIST) {
        const SSize_t count = call_sv(c->code, G_LIST | method);
        const SSize_t base = PL_stack_sp - PL_stack_base - count;
        AV *const list = (AV *)sv_2mortal((SV *)newAV());
        SSize_t n;

        /* to copy a value may run perl code: the values stay on the stack, which may move */
        for (n = 1; n <= count; n++)
            av_push(list, newSVsv(PL_stack_base[base + n]));
        PL_stack_sp = PL_stack_base + base;
        *c->out = SvREFCNT_inc_simple_NN((SV *)list);
    }
    else {
        call_sv(c->code, G_SCALAR | method);
        SPAGAIN;
        *c->out = newSVsv(POPs);
        PUTBACK;
    }
    FREETMPS;
    LEAVE;
}

int perlxs_code_call(perlxs_interp *interp, SV *code, int how, SV *const *args, size_t nargs,
                     SV **out, SV **error)
{
    dINTERP;
    struct code_call c;

    c.code = code;
    c.how = how;
    c.args = args;
    c.nargs = nargs;
    c.out = out;
    return S_guard(aTHX_ S_code_call, &c, error);
}

/* ---- references, arrays and hashes ---- */

SV *perlxs_ref_new(perlxs_interp *interp, SV *referent)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = newRV_inc(referent));
    return sv;
}

SV *perlxs_hash_new(perlxs_interp *interp)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = (SV *)newHV());
    return sv;
}

void perlxs_hash_put(perlxs_interp *interp, SV *hv, const char *p, size_t len, SV *owned)
{
    dINTERP;
    SV *old;

    ALLOCATING(SV *const key = newSVpvn_flags(p, len, SVf_UTF8);
               HE *const entry = hv_fetch_ent((HV *)hv, key, 1, 0);

               old = HeVAL(entry);
               HeVAL(entry) = owned;
               SvREFCNT_dec_NN(key));
    S_drop(aTHX_ old);
}

struct ask {
    SV *sv;
    int question;
    int *out;
};

static int S_kind(SV *sv)
{
    if (!SvROK(sv))
        return PERLXS_KIND_NONE;
    switch (SvTYPE(SvRV(sv))) {
    case SVt_PVAV:
        return PERLXS_KIND_ARRAY;
    case SVt_PVHV:
        return PERLXS_KIND_HASH;
    case SVt_PVCV:
        return PERLXS_KIND_CODE;
    case SVt_PVGV:
        return PERLXS_KIND_GLOB;
    case SVt_REGEXP:
    case SVt_PVFM:
    case SVt_PVIO:
        return PERLXS_KIND_OTHER;
    default:
        return isGV_with_GP(SvRV(sv)) ? PERLXS_KIND_GLOB : PERLXS_KIND_SCALAR;
    }
}

static void S_ask(pTHX_ void *arg)
{
    struct ask *const a = (struct ask *)arg;
    SV *const sv = a->sv;

    SvGETMAGIC(sv);
    switch (a->question) {
    case PERLXS_ASK_DEFINED:
        *a->out = SvOK(sv) || isGV_with_GP(sv);
        break;
    case PERLXS_ASK_TRUE:
        *a->out = !!SvTRUE_nomg(sv);
        break;
    default:
        *a->out = S_kind(sv);
    }
}

int perlxs_sv_ask(perlxs_interp *interp, SV *sv, int question, int *out, SV **error)
{
    dINTERP;
    struct ask a;

    a.sv = sv;
    a.question = question;
    a.out = out;
    if (!SvGMAGICAL(sv) && (!SvROK(sv) || question != PERLXS_ASK_TRUE)) {
        S_ask(aTHX_ &a); /* nothing to run */
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_ask, &a, error);
}

static void S_class(pTHX_ void *arg)
{
    struct copy *const c = (struct copy *)arg;
    SV *const sv = c->sv;

    SvGETMAGIC(sv);
    *c->out = NULL;
    if (SvROK(sv) && SvOBJECT(SvRV(sv))) {
        HEK *const name = HvNAME_HEK(SvSTASH(SvRV(sv)));

        *c->out = name ? newSVhek(name) : newSVpvs("__ANON__"); /* as perl's ref */
    }
}

int perlxs_sv_class(perlxs_interp *interp, SV *sv, SV **out, SV **error)
{
    dINTERP;
    struct copy c;

    c.sv = sv;
    c.out = out;
    return S_guard(aTHX_ S_class, &c, error);
}

struct deref {
    SV *sv;
    int kind;
    SV **out;
};

static void S_deref(pTHX_ void *arg)
{
    struct deref *const d = (struct deref *)arg;
    SV *sv = d->sv;

    SvGETMAGIC(sv);
    if (SvROK(sv) && SvAMAGIC(sv))
        sv = amagic_deref_call(sv, d->kind == PERLXS_KIND_ARRAY  ? to_av_amg
                                   : d->kind == PERLXS_KIND_HASH ? to_hv_amg
                                                                 : to_sv_amg);
    *d->out = S_kind(sv) == d->kind ? SvREFCNT_inc_simple_NN(SvRV(sv)) : NULL;
}

int perlxs_sv_deref(perlxs_interp *interp, SV *sv, int kind, SV **out, SV **error)
{
    dINTERP;
    struct deref d;

    d.sv = sv;
    d.kind = kind;
    d.out = out;
    if (!SvGMAGICAL(sv) && !(SvROK(sv) && SvOBJECT(SvRV(sv)))) {
        S_deref(aTHX_ &d); /* nothing to run */
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_deref, &d, error);
}

/* What is done to an array or a hash, and with what. */
struct aggregate {
    SV *sv;
    SV *key;
    size_t i;
    SV *value;
    int kind;
    SV **out;
    size_t *number;
};

/* An index that perl's would not take for one from the end. */
static SSize_t S_index(size_t i)
{
    return i > SSize_t_MAX ? SSize_t_MAX : (SSize_t)i;
}

static void S_array_len(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    *a->number = (size_t)(av_len((AV *)a->sv) + 1);
}

int perlxs_array_len(perlxs_interp *interp, SV *av, size_t *out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.number = out;
    if (!SvMAGICAL(av)) {
        S_array_len(aTHX_ &a);
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_array_len, &a, error);
}

static void S_array_get(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    SV **const element = av_fetch((AV *)a->sv, S_index(a->i), 0);

    *a->out = element ? SvREFCNT_inc_NN(*element) : NULL;
}

int perlxs_array_get(perlxs_interp *interp, SV *av, size_t i, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.i = i;
    a.out = out;
    if (!SvMAGICAL(av)) {
        S_array_get(aTHX_ &a);
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_array_get, &a, error);
}

static void S_array_set(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    SV **const element = av_fetch((AV *)a->sv, S_index(a->i), 1);

    if (!element)
        croak("Modification of an array element that cannot be made");
    sv_setsv_mg(*element, a->value);
}

int perlxs_array_set(perlxs_interp *interp, SV *av, size_t i, SV *value, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.i = i;
    a.value = value;
    return S_guard(aTHX_ S_array_set, &a, error);
}

static void S_array_push(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    AV *const av = (AV *)a->sv;
    SV *const value = sv_mortalcopy(a->value);

    /* a tied one takes no reference */
    av_push(av, SvRMAGICAL(av) && mg_find((SV *)av, PERL_MAGIC_tied)
                    ? value
                    : SvREFCNT_inc_simple_NN(value));
}

int perlxs_array_push(perlxs_interp *interp, SV *av, SV *value, SV **error)
{
    dINTERP;
    struct aggregate a;

    if (!SvMAGICAL(av) && !SvREADONLY(av) && !SvGMAGICAL(value)) { /* nothing to run */
        ALLOCATING(av_push((AV *)av, newSVsv(value)));
        return PERLXS_OK;
    }
    a.sv = av;
    a.value = value;
    return S_guard(aTHX_ S_array_push, &a, error);
}

static void S_array_pop(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    AV *const av = (AV *)a->sv;

    if (av_len(av) < 0)
        *a->out = NULL;
    else
        *a->out = av_pop(av);
}

int perlxs_array_pop(perlxs_interp *interp, SV *av, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.out = out;
    return S_guard(aTHX_ S_array_pop, &a, error);
}

/* Whether to look for the key runs nothing, and throws nothing. */
static int S_is_plain_lookup(SV *hv, SV *key)
{
    return !SvMAGICAL(hv) && !SvREADONLY(hv) && SvPOK(key) && !SvROK(key) && !SvMAGICAL(key);
}

static void S_hash_get(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    HE *const entry = hv_fetch_ent((HV *)a->sv, a->key, 0, 0);

    *a->out = entry ? SvREFCNT_inc_NN(HeVAL(entry)) : NULL;
}

int perlxs_hash_get(perlxs_interp *interp, SV *hv, SV *key, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.key = key;
    a.out = out;
    if (S_is_plain_lookup(hv, key)) {
        S_hash_get(aTHX_ &a);
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_hash_get, &a, error);
}

static void S_hash_set(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    HE *const entry = hv_fetch_ent((HV *)a->sv, a->key, 1, 0);

    if (!entry)
        croak("Modification of a hash element that cannot be made");
    sv_setsv_mg(HeVAL(entry), a->value);
}

int perlxs_hash_set(perlxs_interp *interp, SV *hv, SV *key, SV *value, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.key = key;
    a.value = value;
    return S_guard(aTHX_ S_hash_set, &a, error);
}

static void S_hash_exists(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    *a->number = hv_exists_ent((HV *)a->sv, a->key, 0);
}

int perlxs_hash_exists(perlxs_interp *interp, SV *hv, SV *key, size_t *out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.key = key;
    a.number = out;
    return S_guard(aTHX_ S_hash_exists, &a, error);
}

static void S_hash_delete(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    SV *const value = hv_delete_ent((HV *)a->sv, a->key, 0, 0);

    *a->out = SvREFCNT_inc(value);
}

int perlxs_hash_delete(perlxs_interp *interp, SV *hv, SV *key, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = hv;
    a.key = key;
    a.out = out;
    return S_guard(aTHX_ S_hash_delete, &a, error);
}

static void S_collect_all(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    S_collect(aTHX_ a->sv, a->kind, a->out);
}

int perlxs_collect(perlxs_interp *interp, SV *sv, int kind, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = sv;
    a.kind = kind;
    a.out = out;
    return S_guard(aTHX_ S_collect_all, &a, error);
}

static void S_clear(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;

    if (SvTYPE(a->sv) == SVt_PVAV)
        av_clear((AV *)a->sv);
    else
        hv_clear((HV *)a->sv);
}

int perlxs_clear(perlxs_interp *interp, SV *sv, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = sv;
    return S_guard(aTHX_ S_clear, &a, error);
}

/* ---- objects ---- */

static void S_warn_of_drop(pTHX_ void *text)
{
    /* as perl tells what a DESTROY dies of */
    Perl_ck_warner(aTHX_ packWARN(WARN_MISC), "\t(in cleanup) %" SVf, SVfARG((SV *)text));
}

/* The object's last reference is gone, and its DESTROY, if it has one, has run. Signals are blocked
 * as in an XSUB. */
static int S_payload_free(pTHX_ SV *sv, MAGIC *mg)
{
    perlxs_payload *const payload = (perlxs_payload *)mg->mg_ptr;
    const sigset_t *const outer = S_mask;
    const int err = errno;
    sigset_t all;
    sigset_t mask;
    SV *panic;

    PERL_UNUSED_VAR(sv);
    if (!payload)
        return 0;
    mg->mg_ptr = NULL;
    if (!outer) {
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &mask);
        S_mask = &mask;
    }
    panic = payload->drop((perlxs_interp *)THIS_PERL, payload);
    if (panic) {
        SV *error = NULL;

        /* later, the panic hook's report has to do */
        if (PL_phase != PERL_PHASE_DESTRUCT)
            S_guard(aTHX_ S_warn_of_drop, panic, &error);
        S_drop(aTHX_ error);
        SvREFCNT_dec_NN(panic);
    }
    if (!outer) {
        S_mask = NULL;
        sigprocmask(SIG_SETMASK, &mask, NULL);
    }
    errno = err;
    if (S_leaving)
        S_leave(aTHX_ S_leaving);
    return 0;
}

#ifdef USE_ITHREADS
/* A new thread gets copies of all objects; the value stays with the one it was made in. */
static int S_payload_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *params)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(params);
    mg->mg_ptr = NULL;
    return 0;
}
#else
#define S_payload_dup NULL
#endif

/* Its address is the mark that perl code cannot put on anything. */
static const MGVTBL S_payload = {NULL, NULL, NULL, NULL, S_payload_free, NULL, S_payload_dup, NULL};

struct new_object {
    SV *class_name;
    perlxs_payload *payload;
    SV **out;
};

static void S_object_new(pTHX_ void *arg)
{
    struct new_object *const o = (struct new_object *)arg;
    SV *const name = o->class_name;
    SV *object;
    SV *ref;
    const char *p;
    STRLEN len;
    MAGIC *mg;

    SvGETMAGIC(name);
    if (SvROK(name) && !SvAMAGIC(name))
        croak("Attempt to bless into a reference");
    p = SvOK(name) ? SvPV_nomg_const(name, len) : NULL;
    if (!p || len == 0)
        croak("an object needs the name of a class");
    object = (SV *)newHV();
    ref = sv_2mortal(newRV_noinc(object));
    sv_bless(ref, gv_stashpvn(p, len, GV_ADD | (SvUTF8(name) ? SVf_UTF8 : 0)));
    mg = sv_magicext(object, NULL, PERL_MAGIC_ext, &S_payload, (const char *)o->payload, 0);
    mg->mg_flags |= MGf_DUP;
    *o->out = SvREFCNT_inc_simple_NN(object);
}

int perlxs_object_new(perlxs_interp *interp, SV *class_name, perlxs_payload *payload, SV **out,
                      SV **error)
{
    dINTERP;
    struct new_object o;
    int status;

    o.class_name = class_name;
    o.payload = payload;
    o.out = out;
    *out = NULL;
    status = S_guard(aTHX_ S_object_new, &o, error);
    /* a destructor that exited when all was done: the payload is still the caller's */
    if (status != PERLXS_OK && *out)
        mg_findext(*out, PERL_MAGIC_ext, &S_payload)->mg_ptr = NULL;
    return status;
}

struct payload {
    SV *sv;
    SV **out;
    perlxs_payload **payload;
};

static void S_object_payload(pTHX_ void *arg)
{
    struct payload *const o = (struct payload *)arg;
    SV *const sv = o->sv;

    SvGETMAGIC(sv);
    *o->out = NULL;
    *o->payload = NULL;
    if (SvROK(sv) && SvTYPE(SvRV(sv)) >= SVt_PVMG) {
        const MAGIC *const mg = mg_findext(SvRV(sv), PERL_MAGIC_ext, &S_payload);

        if (mg) {
            *o->out = SvREFCNT_inc_simple_NN(SvRV(sv));
            *o->payload = (perlxs_payload *)mg->mg_ptr;
        }
    }
}

int perlxs_object_payload(perlxs_interp *interp, SV *sv, SV **out, perlxs_payload **payload,
                          SV **error)
{
    dINTERP;
    struct payload o;

    o.sv = sv;
    o.out = out;
    o.payload = payload;
    if (!SvGMAGICAL(sv)) {
        S_object_payload(aTHX_ &o); /* nothing to run */
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_object_payload, &o, error);
}

/* ---- taint ---- */

static void S_taint_proper(pTHX_ void *what)
{
    PERL_UNUSED_VAR(what); /* by perls without taint support */
    TAINT_PROPER((const char *)what);
}

int perlxs_taint_proper(perlxs_interp *interp, const char *what, SV **error)
{
    dINTERP;
    return TAINT_get ? S_guard(aTHX_ S_taint_proper, (void *)what, error) : PERLXS_OK;
}

static void S_taint_env(pTHX_ void *unused)
{
    PERL_UNUSED_VAR(unused);
    TAINT_ENV();
}

int perlxs_taint_env(perlxs_interp *interp, SV **error)
{
    dINTERP;
    return TAINTING_get ? S_guard(aTHX_ S_taint_env, NULL, error) : PERLXS_OK;
}

/* ---- system calls and signals ---- */

struct sleeping {
    const long *call;
    long *out;
    int *err;
};

/* As pp_waitpid does it: what came while all was blocked, or wakes the call, is dispatched. In C,
 * since a handler that is not deferred may be a longjmp out of the system call. */
static void S_syscall(pTHX_ void *arg)
{
    const struct sleeping *const s = (const struct sleeping *)arg;
    const long *const c = s->call;

    do {
        PERL_ASYNC_CHECK();
        *s->out = syscall(c[0], c[1], c[2], c[3], c[4], c[5], c[6]);
        *s->err = errno;
    } while (*s->out == -1 && *s->err == EINTR);
}

int perlxs_syscall(perlxs_interp *interp, const long *number_and_args, long *out, int *err,
                   SV **error)
{
    dINTERP;
    struct sleeping s;

    s.call = number_and_args;
    s.out = out;
    s.err = err;
    return S_guard(aTHX_ S_syscall, &s, error);
}

int perlxs_signal_number(perlxs_interp *interp, const char *name, size_t len)
{
    dINTERP;
    return (int)whichsig_pvn(name, len);
}

/* ---- processes ---- */

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
    runops_proc_t runops;
    despatch_signals_proc_t signalhook; /* this process's own, whoever lets signals wait */
    despatch_signals_proc_t before;     /* PL_signalhook */
    SV *psig_ptr[SIG_SIZE];
    SV *handlers[SIG_SIZE]; /* what they held, or NULL */
    struct saved_signal *sig; /* of %SIG what is defined */
    size_t nsig;
    struct open_handle *handles; /* the interpreter's */
    size_t nhandles;
    IO **dirs; /* the guest's directory handles, without references */
    size_t ndirs;
    /* of the other process, the guest */
    perlxs_interp *interp;
    perlxs_shared *host; /* what this process is a guest of itself */
    const char *stack_limit;
    int keeps_signals;
    struct sigaction *actions;    /* all of the host's, where the guest shares its table of them */
    int shares_files;
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

/* A handle that has a descriptor. */
struct open_handle {
    PerlIO *file;
    int fd;
};

enum { FRESH, RUNNING, ABANDONED };

/* The innermost that has been begun on this thread; NULL where none is. */
static __thread perlxs_shared *S_guest;

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
        PerlInterpreter *const my_perl = (PerlInterpreter *)s->interp;
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
        PerlInterpreter *const my_perl = (PerlInterpreter *)s->interp;
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

static void S_forget_dir(const IO *io)
{
    perlxs_shared *s;
    size_t i;

    for (s = S_guest; s; s = s->host)
        for (i = 0; i < s->ndirs; i++)
            if (s->dirs[i] == io) {
                s->dirs[i] = s->dirs[--s->ndirs];
                return;
            }
}

static int S_free_guests_dir(pTHX_ SV *sv, MAGIC *mg)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(mg);
    S_forget_dir((IO *)sv);
    return 0;
}

/* Tells when a directory handle that a guest has opened is freed. */
static MGVTBL S_guests_dir = { NULL, NULL, NULL, NULL, S_free_guests_dir, NULL, NULL, NULL };

/* A guest's opendir op, PL_op. */
static OP *S_guest_opendir(pTHX)
{
    GV *const gv = isGV_with_GP(PL_stack_sp[-1]) ? (GV *)PL_stack_sp[-1] : NULL;
    OP *const next = PL_op->op_ppaddr(aTHX);
    IO *const io = gv ? GvIO(gv) : NULL;
    perlxs_shared *const s = S_guest;

    if (io && IoDIRP(io) && s && !s->shares_files) {
        if (mg_findext((SV *)io, PERL_MAGIC_ext, &S_guests_dir))
            S_forget_dir(io);
        else
            sv_magicext((SV *)io, NULL, PERL_MAGIC_ext, &S_guests_dir, NULL, 0);
        Renew(s->dirs, s->ndirs + 1, IO *);
        s->dirs[s->ndirs++] = io;
    }
    return next;
}

/* The directory handles that the other process has left: as S_disown_handles. Where the number is
 * somebody else's the little that the C library has allocated stays, since closedir would close
 * that. */
static void S_disown_dirs(pTHX_ perlxs_shared *s)
{
    while (s->ndirs > 0) {
        IO *const io = s->dirs[--s->ndirs];

        if (IoDIRP(io) && fcntl(dirfd(IoDIRP(io)), F_GETFD) == -1)
            closedir(IoDIRP(io));
        IoDIRP(io) = NULL;
        sv_unmagicext((SV *)io, PERL_MAGIC_ext, &S_guests_dir);
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
        case OP_OPEN_DIR:
            PL_op = op = S_guest_opendir(aTHX);
            break;
        default:
            PL_op = op = op->op_ppaddr(aTHX);
        }
    while (op);
    PERL_ASYNC_CHECK();
    TAINT_NOT;
    return 0;
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
    S_mask = NULL;
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

#define SCOPES 64
#define SAVES 256 /* room for SS_MAXPUSH more than is counted */

/* The descriptor of a handle of one of perl's own lowest layers, or -1. Asks no other layer, since
 * those of modules may run perl code. */
static int S_descriptor(pTHX_ PerlIO *f)
{
    if (!*f)
        return -1;
    while ((*f)->next)
        f = &(*f)->next;
    if ((*f)->tab == &PerlIO_unix ? (*f)->flags & PERLIO_F_OPEN : (*f)->tab == &PerlIO_stdio)
        return PerlIO_fileno(f);
    return -1;
}

/* The interpreter's open handles, in the order of its table; those of `but` left out. */
static struct open_handle *S_open_handles(pTHX_ const struct open_handle *but, size_t nbut,
                                          size_t *n)
{
    struct open_handle *list = NULL;
    size_t room = 0;
    size_t known = 0;
    PerlIOl *table;
    int i;

    *n = 0;
    for (table = PL_perlio; table; table = table->next)
        for (i = 1; i < PERLIO_TABLE_SIZE; i++) {
            PerlIO *const file = (PerlIO *)&table[i];
            const int fd = S_descriptor(aTHX_ file);
            const int before = known < nbut && but[known].file == file ? but[known++].fd : -1;

            if (fd == -1 || fd == before)
                continue;
            if (*n == room) {
                room = room ? 2 * room : 8;
                Renew(list, room, struct open_handle);
            }
            list[*n].file = file;
            list[*n].fd = fd;
            ++*n;
        }
    return list;
}

perlxs_shared *perlxs_shared_begin(perlxs_interp *interp)
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
    s->leaving = S_leaving;
    s->mask = S_mask;
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
    s->shares_files = 0;
    s->state = FRESH;
    s->tid = 1;
    ALLOCATING(S_save_signals(aTHX_ s));
    MUTEX_LOCK(&PL_perlio_mutex);
    S_hook_handlers();
    MUTEX_UNLOCK(&PL_perlio_mutex);
    ALLOCATING(s->handles = S_open_handles(aTHX_ NULL, 0, &s->nhandles));
    s->dirs = NULL;
    s->ndirs = 0;

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
                      const perlxs_start *start, int shares_files, const void *stack_limit)
{
    dINTERP;
    volatile int status = 0;
    int ret;
    dJMPENV;

    s->keeps_signals = !start->mask;
    s->shares_files = shares_files;
    S_end_with_host(s);
    if (!__sync_bool_compare_and_swap(&s->state, FRESH, RUNNING))
        _exit(255);
    S_mask = NULL;
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

/* The lowest layer of a handle whose descriptor was another process's. */
static IV S_gone_fileno(pTHX_ PerlIO *f)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(f);
    errno = EBADF;
    return -1;
}

static SSize_t S_gone_read(pTHX_ PerlIO *f, void *p, Size_t n)
{
    PERL_UNUSED_VAR(p);
    PERL_UNUSED_VAR(n);
    return (SSize_t)S_gone_fileno(aTHX_ f);
}

static SSize_t S_gone_write(pTHX_ PerlIO *f, const void *p, Size_t n)
{
    PERL_UNUSED_VAR(p);
    PERL_UNUSED_VAR(n);
    return (SSize_t)S_gone_fileno(aTHX_ f);
}

static IV S_gone_seek(pTHX_ PerlIO *f, Off_t offset, int whence)
{
    PERL_UNUSED_VAR(offset);
    PERL_UNUSED_VAR(whence);
    return S_gone_fileno(aTHX_ f);
}

static Off_t S_gone_tell(pTHX_ PerlIO *f)
{
    return (Off_t)S_gone_fileno(aTHX_ f);
}

static IV S_gone_close(pTHX_ PerlIO *f)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(f);
    return 0;
}

/* A pipe that the other process has opened: the process at its end is no child of ours to wait for,
 * and perl dies when it closes a pipe that has no descriptor. So it is one no more. */
static void S_disown_pipe(pTHX_ PerlIO *file, int fd)
{
    SV **const pid = av_fetch(PL_fdpid, fd, 0);
    SV *arena;
    SV *sv;

    if (!pid)
        return;
    SvREFCNT_dec(*pid);
    *pid = NULL;
    for (arena = PL_sv_arenaroot; arena; arena = (SV *)SvANY(arena))
        for (sv = arena + 1; sv < arena + SvREFCNT(arena); sv++)
            if (SvTYPE(sv) == SVt_PVIO && IoTYPE((IO *)sv) == IoTYPE_PIPE
                && IoIFP((IO *)sv) == file)
                IoTYPE((IO *)sv) = IoTYPE_RDWR;
}

/* Handles that the other process has opened: their descriptors are its own, and here the number may
 * be another thread's file, or become one. So they lose it. */
static void S_disown_handles(pTHX_ const perlxs_shared *s)
{
    static PerlIO_funcs gone;
    struct open_handle *foreign;
    size_t n;
    size_t i;

    MUTEX_LOCK(&PL_perlio_mutex);
    if (!gone.size) {
        gone = PerlIO_unix;
        gone.name = "gone";
        gone.Fileno = S_gone_fileno;
        gone.Dup = PerlIOBase_dup;
        gone.Read = S_gone_read;
        gone.Write = S_gone_write;
        gone.Seek = S_gone_seek;
        gone.Tell = S_gone_tell;
        gone.Close = S_gone_close;
    }
    MUTEX_UNLOCK(&PL_perlio_mutex);
    foreign = S_open_handles(aTHX_ s->handles, s->nhandles, &n);
    for (i = 0; i < n; i++) {
        PerlIOl *layer = *foreign[i].file;

        /* the guest may have stopped sharing since (unshare) */
        if (s->shares_files && fcntl(foreign[i].fd, F_GETFD) != -1)
            continue;
        PerlIOUnix_refcnt_dec(foreign[i].fd);
        S_disown_pipe(aTHX_ foreign[i].file, foreign[i].fd);
        for (;; layer = layer->next) {
            layer->flags &= ~(PERLIO_F_CANREAD | PERLIO_F_CANWRITE | PERLIO_F_RDBUF
                              | PERLIO_F_WRBUF);
            if (layer->tab == &PerlIO_stdio) /* else the C library writes it at exit */
                __fpurge(PerlIO_findFILE(foreign[i].file));
            if (!layer->next)
                break;
        }
        layer->tab = &gone;
    }
    Safefree(foreign);
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
    volatile int exited = 0;
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
    S_leaving = 0;
    JMPENV_PUSH(ret);
    /* What throws meanwhile (a destructor that exits, a tied variable that dies when its value is
     * put back) comes here, as from a main program: the exception has been printed. Only exit
     * says that it is one. The rest goes on. */
    if (ret != 0 && PL_exit_flags & PERL_EXIT_EXPECTED)
        exited = 1;
    else if (ret == 0) {
        if (differ)
            S_restore_handlers(aTHX_ s); /* for signals that perl does not defer */
        S_disown_handles(aTHX_ s);
        S_disown_dirs(aTHX_ s);
    }
    S_shared_unwind(aTHX_ s);
    JMPENV_POP;
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
    S_leaving = exited ? 2 : s->leaving;
    S_mask = s->mask;
    Safefree(s->handles);
    Safefree(s->dirs);
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

int perlxs_shared_is_nested(perlxs_shared *s)
{
    return s->host != NULL;
}

int32_t *perlxs_shared_tid(perlxs_shared *s)
{
    return &s->tid;
}
