/* References, arrays and hashes. */

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
