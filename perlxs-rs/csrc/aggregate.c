/* What arrays and hashes have in common. */

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
