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

void perlxs_hash_append(perlxs_interp *interp, SV *hv, const perlxs_entry *entries, size_t n)
{
    dINTERP;
    size_t i;

    ALLOCATING(for (i = 0; i < n; i++) {
        const perlxs_entry *const e = &entries[i];

        (void)hv_store((HV *)hv, e->key, e->utf8 ? -(I32)e->len : (I32)e->len,
                       S_new_value(aTHX_ & e->value), 0);
    });
}

struct next {
    SV *hv;
    perlxs_place *place;
    perlxs_entry *entries;
    size_t n;
    char *room;
    size_t size;
    size_t *got;
};

/* Whether an entry has been deleted since the iterator came to it: then it has no value. One of a
 * tied hash never has. */
static int S_is_deleted(pTHX_ HV *hv, const HE *entry)
{
    return (!HeVAL(entry) || HeVAL(entry) == &PL_sv_placeholder)
           && !(SvRMAGICAL(hv) && mg_find((SV *)hv, PERL_MAGIC_tied));
}

/* By the hash's own iterator; who moves it meanwhile is told so. */
static void S_hash_next(pTHX_ void *arg)
{
    struct next *const x = (struct next *)arg;
    perlxs_place *const place = x->place;
    HV *const hv = (HV *)x->hv;
    HE *entry = (HE *)place->entry;
    size_t used = 0;

    if (!entry)
        hv_iterinit(hv);
    else if (HvEITER_get(hv) != entry)
        croak("somebody else has moved the iterator of this hash");
    if (!entry || !place->waits || S_is_deleted(aTHX_ hv, entry))
        entry = hv_iternext(hv);
    place->waits = 0;
    for (; entry; entry = hv_iternext(hv)) {
        perlxs_entry *const out = &x->entries[*x->got];
        STRLEN len;
        const char *const key = HePV(entry, len);

        out->len = len;
        if (*x->got == x->n || used + len > x->size) {
            place->waits = 1;
            break;
        }
        Copy(key, x->room + used, len, char);
        out->key = x->room + used;
        out->utf8 = HeUTF8(entry) ? 1 : 0;
        used += len;
        out->value.kind = PERLXS_VALUE_SV;
        out->value.sv = SvREFCNT_inc_NN(hv_iterval(hv, entry));
        ++*x->got;
    }
    place->entry = entry;
}

int perlxs_hash_next(perlxs_interp *interp, SV *hv, perlxs_place *place, perlxs_entry *entries,
                     size_t n, char *room, size_t size, size_t *got, SV **error)
{
    dINTERP;
    struct next x;

    x.hv = hv;
    x.place = place;
    x.entries = entries;
    x.n = n;
    x.room = room;
    x.size = size;
    x.got = got;
    *got = 0;
    return S_guard(aTHX_ S_hash_next, &x, error);
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
