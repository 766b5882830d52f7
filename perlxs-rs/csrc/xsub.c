/* The XSUB table and the one entry. */

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
