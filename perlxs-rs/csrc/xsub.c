/* The XSUB table and the one entry. */

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

/* The target that perl has for the result. A sort calls an XSUB itself, and to its op the flag that
 * there is one means `reverse`. */
PERL_STATIC_INLINE SV *S_target(pTHX)
{
    if (UNLIKELY(PL_op->op_type == OP_SORT))
        return sv_newmortal();
    else {
        dXSTARG;
        return TARG;
    }
}
#define dCALL_TARGET SV *const TARG = S_target(aTHX)

void perlxs_call_return_string(perlxs_interp *interp, perlxs_call *call, const char *p, size_t len,
                               int utf8)
{
    dINTERP;

    call->result.kind = PERLXS_VALUE_UNDEF;
    if (UNLIKELY(interp->leaving)) /* then it is not where the call was */
        return;
    ALLOCATING(dCALL_TARGET; sv_setpvn(TARG, p, len);
               if (utf8) SvUTF8_on(TARG); else SvUTF8_off(TARG);
               SvSETMAGIC(TARG); call->result.sv = TARG);
    call->result.kind = PERLXS_VALUE_DONE;
}

/* Signals that a call has blocked. */
struct perlxs_blocked {
    sigset_t mask;         /* the caller's */
    const sigset_t *outer; /* the interpreter's before */
};

/* Gives up what a call has held. It may run destructors, with perl's temporaries. */
static void S_let_go(pTHX_ perlxs_call *call)
{
    size_t i;

    for (i = 0; i < call->nargs; i++)
        S_dec_later(aTHX_ call->held[i]);
    if (call->held != call->room)
        Safefree(call->held);
}

/* The end of a Rust frame: perl goes on. The signal mask comes last: a handler that waits for it
 * may throw. */
PERL_STATIC_INLINE void S_end_call(pTHX_ perlxs_interp *interp, perlxs_call *call)
{
    struct perlxs_blocked *const blocked = call->blocked;

    if (call->held)
        S_let_go(aTHX_ call);
    interp->call = call->outer;
    interp->fault = NULL;
    if (UNLIKELY(interp->exposed))
        S_part_strings(aTHX_ interp);
    if (UNLIKELY(blocked != NULL)) {
        const sigset_t mask = blocked->mask;
        const int err = errno;

        interp->mask = blocked->outer;
        Safefree(blocked);
        errno = err;
        sigprocmask(SIG_SETMASK, &mask, NULL);
    }
}

/* Begins a Rust frame, with these arguments. */
PERL_STATIC_INLINE void S_begin_call(perlxs_interp *interp, perlxs_call *call, SV **args,
                                     size_t nargs)
{
    call->args = args;
    call->nargs = nargs;
    call->held = NULL;
    call->blocked = NULL;
    call->outer = interp->call;
    interp->call = call;
}

/* Puts a list onto perl's stack in the place of the arguments; no more than one value there moves
 * nothing. */
static void S_return_list(pTHX_ I32 ax, AV *list)
{
    const SSize_t count = av_len(list) + 1;
    SSize_t n;
    SV **sp = PL_stack_base + ax - 1;

    EXTEND(SP, count);
    for (n = 0; n < count; n++)
        PUSHs(sv_2mortal(SvREFCNT_inc_simple_NN(AvARRAY(list)[n])));
    PUTBACK;
}

/* The end of a call that is not over with its result. What comes now may throw. */
static void S_end_in_full(pTHX_ perlxs_interp *interp, perlxs_call *call, int status)
{
    if (status == PERLXS_DIED)
        sv_2mortal(call->error);
    else if (status == PERLXS_OK
             && (call->result.kind == PERLXS_VALUE_SV || call->result.kind == PERLXS_VALUE_LIST))
        sv_2mortal(call->result.sv);
    S_end_call(aTHX_ interp, call);
    if (interp->leaving)
        S_leave(aTHX_ interp, interp->leaving);
    if (interp->late)
        S_run_late(aTHX_ interp);
    if (status == PERLXS_DIED)
        croak_sv(call->error);
}

/* The XSUB of every CV that perlxs defines. All that Rust owns is gone when it throws. */
static XSPROTO(S_entry)
{
    dXSARGS;
    const perlxs_xsub *const x = (const perlxs_xsub *)XSANY.any_ptr;
    perlxs_interp *const interp = S_interp(aTHX);
    perlxs_call call;
    SV *result;
    int status;
    I32 i;

    if (UNLIKELY(items < x->min_args || (U32)items > (U32)x->max_args)) /* -1: no limit */
        croak_xs_usage(cv, x->params);
    TAINT_NOT; /* as a sub's first statement: the caller's expression may have read anything */
    for (i = 0; i < items; i++)
        if (UNLIKELY(SvIS_FREED(ST(i)))) /* while it stood in @_: undef, as it is there */
            ST(i) = sv_newmortal();

    S_begin_call(interp, &call, &ST(0), items);
    status = x->body(interp, x, &call);
    if (LIKELY(status == PERLXS_OK && call.result.kind <= PERLXS_VALUE_DONE && !call.held
               && !call.blocked && !(interp->leaving | interp->late) && !interp->exposed))
        interp->call = call.outer;
    else
        S_end_in_full(aTHX_ interp, &call, status);

    switch (call.result.kind) {
    case PERLXS_VALUE_UNDEF:
        result = &PL_sv_undef;
        break;
    case PERLXS_VALUE_TRUE:
        result = &PL_sv_yes;
        break;
    case PERLXS_VALUE_FALSE:
        result = &PL_sv_no;
        break;
    case PERLXS_VALUE_SV:
    case PERLXS_VALUE_DONE:
        result = call.result.sv;
        break;
    case PERLXS_VALUE_LIST:
        S_return_list(aTHX_ ax, (AV *)call.result.sv);
        return;
    default: {
        dCALL_TARGET;
        if (LIKELY(call.result.kind == PERLXS_VALUE_INT))
            TARGi((IV)call.result.integer, 1);
        else if (call.result.kind == PERLXS_VALUE_NUM)
            TARGn(call.result.real, 1);
        else
            TARGu((UV)call.result.integer, 1);
        result = TARG;
    }
    }
    /* for one value there is always room: the sub itself has stood there */
    PL_stack_sp = PL_stack_base + ax;
    *PL_stack_sp = result;
}
