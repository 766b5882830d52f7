/* Hashes. */

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
    S_drop(aTHX_ interp, old);
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
