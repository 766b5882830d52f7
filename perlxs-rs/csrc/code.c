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
