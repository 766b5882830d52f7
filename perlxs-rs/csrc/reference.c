/* References, and what they refer to. */

SV *perlxs_ref_new(perlxs_interp *interp, SV *referent)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = newRV_inc(referent));
    return sv;
}

SV *perlxs_sv_referent(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    if (!SvROK(sv) || SvOBJECT(SvRV(sv)) || SvTYPE(SvRV(sv)) > SVt_PVLV || SvROK(SvRV(sv)))
        return NULL;
    return SvREFCNT_inc_simple_NN(SvRV(sv));
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
    case PERLXS_ASK_WEAK:
        *a->out = SvROK(sv) && SvWEAKREF(sv) ? 1 : 0;
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

#ifndef HvSTASH_IS_CLASS /* before perl 5.38 */
#define HvSTASH_IS_CLASS(stash) 0
#endif

struct bless {
    SV *sv;
    SV *class_name;
};

/* The class of a name, as perl's own bless takes it. */
static HV *S_class_of(pTHX_ SV *name, const char *what)
{
    HV *stash;
    const char *p;
    STRLEN len;

    SvGETMAGIC(name);
    if (SvROK(name) && !SvAMAGIC(name))
        croak("Attempt to bless into a reference");
    p = SvOK(name) ? SvPV_nomg_const(name, len) : NULL;
    if (!p || len == 0)
        croak("%s needs the name of a class", what);
    stash = gv_stashpvn(p, len, GV_ADD | (SvUTF8(name) ? SVf_UTF8 : 0));
    if (HvSTASH_IS_CLASS(stash))
        croak("Attempt to bless into a class");
    return stash;
}

static void S_bless(pTHX_ void *arg)
{
    const struct bless *const b = (const struct bless *)arg;
    HV *const stash = S_class_of(aTHX_ b->class_name, "bless");

    SvGETMAGIC(b->sv);
    if (!SvROK(b->sv))
        croak("Can't bless non-reference value");
    sv_bless(b->sv, stash);
}

int perlxs_sv_bless(perlxs_interp *interp, SV *sv, SV *class_name, SV **error)
{
    dINTERP;
    struct bless b;

    b.sv = sv;
    b.class_name = class_name;
    return S_guard(aTHX_ S_bless, &b, error);
}

static void S_weaken(pTHX_ void *arg)
{
    SV *const sv = (SV *)arg;

    if (SvROK(sv) && SvWEAKREF(sv))
        return;
    sv_rvweaken(sv);
}

int perlxs_sv_weaken(perlxs_interp *interp, SV *sv, SV **error)
{
    dINTERP;
    return S_guard(aTHX_ S_weaken, sv, error);
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
