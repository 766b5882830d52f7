#include "shim.h"
#include "perliol.h"

#include <errno.h>
#include <signal.h>

#ifdef MULTIPLICITY
#define dINTERP                                                                                    \
    PerlInterpreter *const my_perl PERL_UNUSED_DECL = (PerlInterpreter *)interp
#define THIS_PERL aTHX
#else
#define dINTERP PERL_UNUSED_VAR(interp)
#define THIS_PERL PL_curinterp
#endif

/* ---- containment ---- */

typedef void (*guarded)(pTHX_ void *);

struct guard {
    guarded fn;
    void *arg;
    int done;
};

static XSPROTO(S_guard_xsub)
{
    dXSARGS;
    struct guard *const g = (struct guard *)XSANY.any_ptr;

    PERL_UNUSED_VAR(items);
    g->fn(aTHX_ g->arg);
    g->done = 1;
    XSRETURN_EMPTY;
}

/* An exit is under way on this thread: perl's stacks are unwound, so nothing of perl may run
 * before S_entry has passed the exit on. */
static __thread int S_leaving;

/* Runs fn(arg) so that nothing is thrown past this frame.
 *
 * A die is a longjmp to the innermost eval, so fn needs an eval of its own around it;
 * call_sv makes one, around a sub: hence the throwaway XSUB. `done`, not $@, tells
 * whether fn died: an exception may be an object that is false. An exit is a longjmp
 * to the innermost jump frame, with all of perl's stacks unwound. $@ stays the caller's. */
static int S_guard(pTHX_ guarded fn, void *arg, SV **error)
{
    struct guard g;
    int ret;
    dJMPENV;

    g.fn = fn;
    g.arg = arg;
    g.done = 0;
    if (S_leaving)
        return PERLXS_EXIT;
    JMPENV_PUSH(ret);
    if (ret == 0) {
        CV *cv;

        ENTER;
        SAVETMPS;
        save_scalar(PL_errgv);
        cv = newXS(NULL, S_guard_xsub, "perlxs");
        CvXSUBANY(cv).any_ptr = &g;
        SAVEFREESV((SV *)cv);
        PUSHMARK(PL_stack_sp);
        call_sv((SV *)cv, G_VOID | G_DISCARD | G_EVAL | G_NODEBUG);
        if (!g.done)
            *error = newSVsv(ERRSV);
        FREETMPS;
        LEAVE;
    }
    JMPENV_POP;
    if (ret != 0) {
        S_leaving = 1;
        return PERLXS_EXIT;
    }
    return g.done ? PERLXS_OK : PERLXS_DIED;
}

/* Passes an exit on: perl's stacks are unwound as far as they are this frame's, and then to the
 * next jump frame. */
static void S_leave(pTHX_ void *unused)
{
    PERL_UNUSED_VAR(unused);
    S_leaving = 0;
    my_exit(STATUS_EXIT);
}

/* ---- the XSUB table and the one entry ---- */

#define HELD 8 /* arguments that need no allocation */

/* The XSUB of every CV that perlxs defines. All that Rust owns is gone when it throws. */
static XSPROTO(S_entry)
{
    dXSARGS;
    const perlxs_xsub *const x = (const perlxs_xsub *)XSANY.any_ptr;
    SV *few[HELD];
    SV **args = few;
    perlxs_call call;
    sigset_t mask;
    int status;
    int err;
    I32 i;

    if (items < x->min_args || (x->max_args >= 0 && items > x->max_args))
        croak_xs_usage(cv, x->params);

    /* perl's stack holds no references: what a magical argument runs could free another. */
    if (items > HELD)
        Newx(args, items, SV *);
    for (i = 0; i < items; i++)
        args[i] = SvREFCNT_inc_simple_NN(ST(i));

    Zero(&call, 1, perlxs_call);
    call.args = args;
    call.nargs = items;
    if (x->block_signals) {
        sigset_t all;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &mask);
        call.mask = &mask;
    }
    status = x->body((perlxs_interp *)THIS_PERL, x, &call);
    err = errno;
    if (x->block_signals)
        sigprocmask(SIG_SETMASK, &mask, NULL);
    for (i = 0; i < items; i++)
        SvREFCNT_dec_NN(args[i]);
    if (args != few)
        Safefree(args);
    errno = err;

    if (S_leaving)
        S_leave(aTHX_ NULL);
    if (status == PERLXS_DIED)
        croak_sv(sv_2mortal(call.error));

    SPAGAIN;
    SP -= items;
    EXTEND(SP, 1);
    if (call.returns == PERLXS_RETURN_SV)
        PUSHs(sv_2mortal(call.sv));
    else if (call.returns == PERLXS_RETURN_UNDEF)
        PUSHs(&PL_sv_undef);
    else {
        dXSTARG;
        if (call.returns == PERLXS_RETURN_INT)
            sv_setiv_mg(TARG, (IV)call.integer);
        else
            sv_setuv_mg(TARG, (UV)call.integer);
        PUSHs(TARG);
    }
    PUTBACK;
}

struct boot {
    CV *cv;
    I32 ax;
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
#ifdef MULTIPLICITY
    const U32 key = HS_KEYp(sizeof(PerlInterpreter), TRUE, FALSE, FALSE,
                            sizeof("v" PERL_API_VERSION_STRING) - 1, version_len);
#else
    const U32 key = HS_KEYp(sizeof(struct PerlHandShakeInterpreter), FALSE, FALSE, FALSE,
                            sizeof("v" PERL_API_VERSION_STRING) - 1, version_len);
#endif

    PERL_UNUSED_VAR(cv);
    Perl_xs_handshake(key, HS_CXT, m->package, b->items, b->ax, "v" PERL_API_VERSION_STRING,
                      m->version);
    for (i = 0; i < m->nxsubs; i++) {
        const perlxs_xsub *const x = m->xsubs[i];
        CV *const xsub = newXS_flags(x->name, S_entry, m->package, x->prototype, 0);

        CvXSUBANY(xsub).any_ptr = (void *)x;
    }
    stash = gv_stashpv(m->package, GV_ADD);
    for (i = 0; i < m->nconstants; i++) {
        const perlxs_constant *const c = &m->constants[i];

        newCONSTSUB(stash, c->name, newSVuv((UV)c->value));
    }
}

static void S_throw(pTHX_ void *error)
{
    croak_sv(sv_2mortal((SV *)error));
}

void perlxs_boot(perlxs_interp *interp, CV *cv, const perlxs_module *m)
{
    dINTERP;
    dXSARGS;
    struct boot b;
    SV *error;
    int status;

    b.cv = cv;
    b.ax = ax;
    b.items = items;
    b.module = m;
    status = S_guard(aTHX_ S_boot, &b, &error);
    /* The caller is a Rust frame. pp_entersub leaves the scope it made for this XSUB
     * when that frame is gone: then it is thrown. */
    if (status == PERLXS_DIED)
        SAVEDESTRUCTOR_X(S_throw, error);
    else if (status == PERLXS_EXIT)
        SAVEDESTRUCTOR_X(S_leave, NULL);
    if (items == 0) {
        SPAGAIN;
        EXTEND(SP, 1);
    }
    XSRETURN_YES;
}

/* ---- scalars ---- */

SV *perlxs_sv_new_bytes(perlxs_interp *interp, const char *p, size_t len, int utf8)
{
    dINTERP;
    return newSVpvn_flags(p, len, utf8 ? SVf_UTF8 : 0);
}

SV *perlxs_sv_new_int(perlxs_interp *interp, int64_t value)
{
    dINTERP;
    return newSViv((IV)value);
}

SV *perlxs_sv_new_uint(perlxs_interp *interp, uint64_t value)
{
    dINTERP;
    return newSVuv((UV)value);
}

SV *perlxs_sv_new_num(perlxs_interp *interp, double value)
{
    dINTERP;
    return newSVnv(value);
}

SV *perlxs_sv_new_undef(perlxs_interp *interp)
{
    dINTERP;
    return newSV(0);
}

SV *perlxs_sv_inc(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    return SvREFCNT_inc_simple_NN(sv);
}

static void S_dec(pTHX_ void *sv)
{
    SvREFCNT_dec_NN((SV *)sv);
}

/* What a destructor throws cannot be told to a Rust drop: a die is lost, as perl loses it;
 * an exit is passed on by S_entry. */
void perlxs_sv_dec(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    if (SvREFCNT(sv) > 1 || !(SvROK(sv) || SvTYPE(sv) >= SVt_PVMG))
        SvREFCNT_dec_NN(sv);
    else {
        SV *error;

        if (S_guard(aTHX_ S_dec, sv, &error) == PERLXS_DIED)
            SvREFCNT_dec(error);
    }
}

int perlxs_sv_is_undef_constant(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    return sv == &PL_sv_undef;
}

int perlxs_sv_is_readonly(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    return cBOOL(SvREADONLY(sv));
}

int perlxs_sv_plain_int(perlxs_interp *interp, SV *sv, int64_t *value)
{
    dINTERP;
    if (SvGMAGICAL(sv) || SvROK(sv) || !SvIOK(sv) || SvIsUV(sv))
        return 0;
    *value = SvIVX(sv);
    return 1;
}

struct number {
    SV *sv;
    perlxs_number *out;
};

static void S_number(pTHX_ void *arg)
{
    struct number *const n = (struct number *)arg;
    perlxs_number *const out = n->out;
    SV *sv = n->sv;

    SvGETMAGIC(sv);
    if (SvROK(sv) && SvAMAGIC(sv)) {
        SV *const converted = AMG_CALLunary(sv, numer_amg);

        if (converted)
            sv = converted;
    }
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

static void S_string(pTHX_ void *arg)
{
    struct string *const s = (struct string *)arg;
    SV *const sv = s->sv;
    STRLEN len;
    const char *p;
    SV *copy;

    SvGETMAGIC(sv);
    if (!SvOK(sv) && !isGV_with_GP(sv)) {
        *s->out = NULL;
        return;
    }
    p = SvPV_nomg_const(sv, len);
    copy = newSVpvn_flags(p, len, SVs_TEMP | (SvUTF8(sv) ? SVf_UTF8 : 0));
    if (s->form == PERLXS_STRING_UTF8)
        sv_utf8_upgrade(copy);
    else if (!sv_utf8_downgrade(copy, TRUE))
        croak("Wide character in a string of bytes");
    *s->out = SvREFCNT_inc_simple_NN(copy);
}

int perlxs_sv_string(perlxs_interp *interp, SV *sv, int form, SV **out, SV **error)
{
    dINTERP;
    struct string s;

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

SV *perlxs_sv_describe(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    if (SvROK(sv)) {
        SV *const target = SvRV(sv);
        const char *const type = sv_reftype(target, 0);

        if (SvOBJECT(target))
            return newSVpvf("an object of class %" HEKf, HEKfARG(HvNAME_HEK(SvSTASH(target))));
        return newSVpvf("a reference to %s %s", strchr("AEIOU", *type) ? "an" : "a", type);
    }
    if (isGV_with_GP(sv))
        return newSVpvf("the glob *%s::%" HEKf, HvNAME(GvSTASH((GV *)sv)),
                        HEKfARG(GvNAME_HEK((GV *)sv)));
    if (!SvOK(sv))
        return newSVpvs("undef");
    if (SvPOK(sv)) {
        SV *const text = newSVpvs("the string ");

        pv_pretty(text, SvPVX_const(sv), SvCUR(sv), 60, NULL, NULL,
                  PERL_PV_PRETTY_NOCLEAR | PERL_PV_PRETTY_QUOTE | PERL_PV_PRETTY_ELLIPSES
                      | (SvUTF8(sv) ? PERL_PV_ESCAPE_UNI : 0));
        return text;
    }
    if (SvIOK(sv))
        return SvIsUV(sv) ? newSVpvf("%" UVuf, SvUVX(sv)) : newSVpvf("%" IVdf, SvIVX(sv));
    if (SvNOK(sv))
        return newSVpvf("%" NVgf, SvNVX(sv));
    return newSVpvf("a value of type %s", sv_reftype(sv, 0));
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

    c.sv = sv;
    c.out = out;
    return S_guard(aTHX_ S_code, &c, error);
}

struct code_call {
    SV *code;
    SV *const *args;
    size_t nargs;
    SV **out;
};

/* On a stack of its own: there `last` and `goto` find nothing of the caller's. */
static void S_code_call(pTHX_ void *arg)
{
    struct code_call *const c = (struct code_call *)arg;
    size_t i;
    dSP;

    PUSHSTACKi(PERLSI_UNKNOWN);
    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    EXTEND(SP, (SSize_t)c->nargs);
    for (i = 0; i < c->nargs; i++)
        PUSHs(c->args[i]);
    PUTBACK;
    call_sv(c->code, G_SCALAR);
    SPAGAIN;
    *c->out = newSVsv(POPs);
    PUTBACK;
    FREETMPS;
    LEAVE;
    POPSTACK;
}

int perlxs_code_call(perlxs_interp *interp, SV *code, SV *const *args, size_t nargs, SV **out,
                     SV **error)
{
    dINTERP;
    struct code_call c;

    c.code = code;
    c.args = args;
    c.nargs = nargs;
    c.out = out;
    return S_guard(aTHX_ S_code_call, &c, error);
}

/* ---- processes ---- */

static void S_flush_all(pTHX_ void *unused)
{
    PERL_UNUSED_VAR(unused);
    PERL_FLUSHALL_FOR_CHILD;
}

int perlxs_flush_all(perlxs_interp *interp, SV **error)
{
    dINTERP;
    return S_guard(aTHX_ S_flush_all, NULL, error);
}

void perlxs_fork_lock(perlxs_interp *interp)
{
    PERL_UNUSED_VAR(interp);
    Perl_atfork_lock();
}

void perlxs_fork_unlock(perlxs_interp *interp)
{
    PERL_UNUSED_VAR(interp);
    Perl_atfork_unlock();
}

void perlxs_forget_signals(perlxs_interp *interp)
{
    dINTERP;
    int sig;

    PL_sig_pending = 0;
    if (PL_psig_pend)
        for (sig = 1; sig < SIG_SIZE; sig++)
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
    runops_proc_t runops;
    despatch_signals_proc_t signalhook;
    /* of the other process, the guest */
    perlxs_interp *interp;
    perlxs_shared *host; /* whose guest this process is itself */
    const char *stack_limit;
    volatile sig_atomic_t signal; /* one to die of */
};

/* What this process is a guest of; NULL in others. */
static __thread perlxs_shared *S_guest;

/* A guest that stops between two instructions leaves perl's structures half changed, and they
 * are its parent's. SIGKILL may do that; other signals, and a stack that is used up, must not:
 * their default, death, comes where perl is consistent. */

static void S_die_of(int signal)
{
    struct sigaction action;
    sigset_t set;

    Zero(&action, 1, struct sigaction);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, signal);
    kill(getpid(), signal);
    /* here it ends, but for process 1 of a namespace, which ignores it by default */
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* The handler of signals whose default is death. */
static void S_guest_signal(int signal)
{
    perlxs_shared *const s = S_guest;

    if (s) {
#ifdef MULTIPLICITY
        PerlInterpreter *const my_perl = (PerlInterpreter *)s->interp;
#endif
        /* these do not look at signals again, and change nothing while they wait */
        const OPCODE op = PL_op ? PL_op->op_type : OP_NULL;

        if (op != OP_SLEEP && op != OP_SSELECT && op != OP_EXEC) {
            s->signal = signal;
            PL_sig_pending = 1;
            return;
        }
    }
    S_die_of(signal);
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

/* All recursion of perl on the C stack (sort, tie, overloading, require) comes through here
 * (PL_runops). */
static int S_guest_runops(pTHX)
{
    perlxs_shared *const s = S_guest;
    const char here = 0;

    if (!s)
        return Perl_runops_standard(aTHX);
    if (&here < s->stack_limit)
        S_die_of(SIGSEGV);
    return s->runops(aTHX);
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
        case SIGIO:
            guest.sa_handler = S_guest_signal;
            if (sigaction(signal, &guest, &old) == 0 && old.sa_handler == SIG_IGN)
                sigaction(signal, &old, NULL);
            break;
        default:
            guest.sa_handler = signal >= SIGRTMIN ? S_guest_signal : SIG_DFL;
            if (sigaction(signal, NULL, &old) == 0 && old.sa_handler != SIG_DFL
                && old.sa_handler != SIG_IGN)
                sigaction(signal, &guest, NULL);
        }
    }
}

/* With a shared descriptor table, closing a handle would close the parent's descriptor.
 * One more reference to each makes perl's close keep it. */
static void S_keep_descriptors(pTHX_ void *unused)
{
    int fd;

    PERL_UNUSED_VAR(unused);
    for (fd = 0; fd < PL_perlio_fd_refcnt_size; fd++)
        if (PL_perlio_fd_refcnt[fd] > 0)
            PerlIOUnix_refcnt_inc(fd);
}

/* Flushes all output, as perl_destruct: a STDOUT that cannot be written is a failure. */
static int S_flush_status(pTHX_ int status)
{
    PerlIO *const out = PerlIO_stdout();

    if (PerlIO_fileno(out) >= 0 && PerlIO_flush(out) != 0) {
        PerlIO_printf(PerlIO_stderr(), "Unable to flush stdout: %s\n", Strerror(errno));
        if (status == 0)
            status = 255;
    }
    PERL_FLUSHALL_FOR_CHILD;
    return status;
}

/* Calls `code` as a main program: its value is the exit status. */
static int S_call_main(pTHX_ SV *code)
{
    dSP;
    SV *result;
    int status;

    PUSHMARK(SP);
    call_sv(code, G_SCALAR);
    SPAGAIN;
    result = POPs;
    PUTBACK;
    SvGETMAGIC(result);
    status = SvOK(result) ? (int)(SvIV_nomg(result) & 0xff) : 0;
    return S_flush_status(aTHX_ status);
}

int perlxs_main_run(perlxs_interp *interp, SV *code, const sigset_t *mask, int err,
                    int keep_descriptors, int *status)
{
    dINTERP;
    int ret;
    dJMPENV;
    dSP;

    for (; S_guest; S_guest = S_guest->host) { /* a copy is nobody's guest */
        PL_runops = S_guest->runops;
        PL_signalhook = S_guest->signalhook;
    }
    SvREFCNT_inc_simple_void_NN(code); /* the coderef may undefine itself */
    PL_in_eval = EVAL_NULL;            /* the evals around us are the parent's */
    PUSHSTACKi(PERLSI_UNKNOWN);
    PUTBACK;
    ENTER;
    SAVETMPS;
    /* On the savestack here, it runs after the coderef's own scopes and before the parent's. */
    if (keep_descriptors)
        SAVEDESTRUCTOR_X(S_keep_descriptors, NULL);
    JMPENV_PUSH(ret);
    if (ret == 0) {
        if (mask)
            sigprocmask(SIG_SETMASK, mask, NULL);
        errno = err;
        *status = S_call_main(aTHX_ code);
    }
    JMPENV_POP;
    return ret == 0 ? PERLXS_OK : PERLXS_EXIT;
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

perlxs_shared *perlxs_shared_begin(perlxs_interp *interp)
{
    dINTERP;
    perlxs_shared *s;

    Newx(s, 1, perlxs_shared);
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
    s->sig_pending = PL_sig_pending;
    if (PL_psig_pend)
        Copy(PL_psig_pend, s->psig_pend, SIG_SIZE, int);
    else
        Zero(s->psig_pend, SIG_SIZE, int);
    perlxs_forget_signals(interp);
    s->runops = S_guest ? S_guest->runops : PL_runops;
    s->signalhook = S_guest ? S_guest->signalhook : PL_signalhook;
    s->interp = interp;
    s->host = S_guest;
    s->signal = 0;

    /* the other process's stacks: exit unwinds to the bottom of each, which is its own */
    Newx(PL_savestack, SAVES, ANY);
    PL_savestack_ix = 0;
    PL_savestack_max = SAVES - SS_MAXPUSH;
    Newx(PL_scopestack, SCOPES, I32);
    PL_scopestack_ix = 0;
    PL_scopestack_max = SCOPES;
    if (PL_scopestack_name)
        Newx(PL_scopestack_name, SCOPES, const char *);
    return s;
}

int perlxs_shared_run(perlxs_interp *interp, perlxs_shared *s, SV *code, const sigset_t *mask,
                      int err, const void *stack_limit)
{
    dINTERP;
    volatile int status = 0;
    int ret;
    dJMPENV;
    dSP;

    S_guest = s;
    s->stack_limit = (const char *)stack_limit;
    PL_runops = S_guest_runops;
    if (mask) {
        PL_signalhook = S_guest_despatch;
        S_reset_handlers();
    }
    PL_in_eval = EVAL_NULL; /* the evals around us are the parent's */
    PUSHSTACKi(PERLSI_UNKNOWN);
    PUTBACK;
    PL_mainstack = PL_curstack;
    ENTER;
    SAVETMPS;
    JMPENV_PUSH(ret);
    if (ret == 0) {
        SV *const error = ERRSV;

        save_scalar(PL_errgv); /* $@ is the parent's */
        sv_setsv(ERRSV, error);
        SvREFCNT_inc_simple_void_NN(code); /* the coderef may undefine itself */
        SAVEFREESV(code);
        if (mask)
            sigprocmask(SIG_SETMASK, mask, NULL);
        errno = err;
        status = S_call_main(aTHX_ code);
    }
    else
        status = S_flush_status(aTHX_ STATUS_EXIT);
    JMPENV_POP;
    if (s->signal)
        S_die_of(s->signal);
    return status;
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

int perlxs_shared_end(perlxs_interp *interp, perlxs_shared *s)
{
    dINTERP;
    volatile int exited = 0;
    int ret;
    dJMPENV;

    /* the other process's signals are gone with it; what comes from here on is ours */
    S_guest = s->host;
    if (!S_guest) {
        PL_runops = s->runops;
        PL_signalhook = s->signalhook;
    }
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
    /* a destructor that exits comes back here, its stacks unwound; the rest goes on */
    if (ret != 0)
        exited = 1;
    S_shared_unwind(aTHX_ s);
    JMPENV_POP;

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
    S_leaving = exited ? 1 : s->leaving;
    Safefree(s);
    return exited ? PERLXS_EXIT : PERLXS_OK;
}
